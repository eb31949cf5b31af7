/** A tooltip's content as elements: text from data is never taken for markup. */

export interface Line {
  name: string;
  value: string;
  colour?: string;
}

export function tooltip(title: string, lines: Line[]): HTMLElement {
  const box = document.createElement("div");
  box.className = "tip";
  box.append(element("strong", title));
  const list = box.appendChild(document.createElement("dl"));
  for (const line of lines) {
    const name = element("dt", line.name);
    if (line.colour !== undefined) {
      const swatch = document.createElement("i");
      swatch.style.background = line.colour;
      name.prepend(swatch);
    }
    list.append(name, element("dd", line.value));
  }
  return box;
}

function element(tag: string, text: string): HTMLElement {
  const made = document.createElement(tag);
  made.textContent = text;
  return made;
}
