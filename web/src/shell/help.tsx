import { Dialog } from "../parts/dialog";
import { pages } from "./pages";

const everywhere: [string, string][] = [
  ["/", "Search"],
  ["ctrl k", "Commands"],
  ["j k", "Down and up in a list"],
  ["enter", "Open what is chosen"],
  ["t", "Dark or light"],
  ["?", "This list"],
  ["esc", "Close"],
];

const attention: [string, string][] = [
  ["o enter", "Allow once"],
  ["w enter", "Allow always, in this session"],
  ["d enter", "Deny"],
  ["x enter", "Acknowledge"],
  ["r", "Write an answer"],
];

const session: [string, string][] = [
  ["1 … 9", "Live, log, diff, graph, context, cost, explain, files, raw"],
  ["c", "The first thing that can be done"],
];

function Keys({ title, keys }: { title: string; keys: [string, string][] }) {
  return (
    <section>
      <h3 className="label pb-1">{title}</h3>
      <dl className="help-keys">
        {keys.map(([key, text]) => (
          <div key={key}>
            <dt>
              {key.split(" ").map((one) => (
                <kbd className="key" key={one}>
                  {one}
                </kbd>
              ))}
            </dt>
            <dd>{text}</dd>
          </div>
        ))}
      </dl>
    </section>
  );
}

export function Help({ onClose }: { onClose(): void }) {
  return (
    <Dialog title="Keyboard" onClose={onClose} className="wide">
      <div className="help">
        <Keys title="Everywhere" keys={everywhere} />
        <Keys title="Go to" keys={pages.map((page) => [`g ${page.key}`, page.name])} />
        <Keys title="Attention" keys={attention} />
        <Keys title="A session" keys={session} />
      </div>
    </Dialog>
  );
}
