import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { App } from "./app";
import "./styles/index.css";

const root = document.getElementById("root");
if (!root) throw new Error("the page has no place for itself");
createRoot(root).render(
  <StrictMode>
    <App />
  </StrictMode>,
);
