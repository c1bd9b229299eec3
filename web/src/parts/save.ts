/** Hands something over as a file. */
export function saveBlob(name: string, blob: Blob): void {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  // The browser still reads it when this returns.
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

/** Hands a text over as a file. */
export const save = (name: string, text: string, type: string) => saveBlob(name, new Blob([text], { type }));
