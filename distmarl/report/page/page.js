"use strict";
(() => {
  const root = document.documentElement;
  const byId = (id) => document.getElementById(id);

  // Light or dark: the reader's system decides until the reader does.
  const theme = byId("theme");
  const system = matchMedia("(prefers-color-scheme: dark)");
  const isDark = () => (root.dataset.theme ? root.dataset.theme === "dark" : system.matches);
  const nameTheme = () => { theme.textContent = isDark() ? "Light" : "Dark"; };
  theme.addEventListener("click", () => { root.dataset.theme = isDark() ? "light" : "dark"; nameTheme(); });
  system.addEventListener("change", nameTheme);
  theme.hidden = false;
  nameTheme();

  // Sorting: numbers by value, texts as texts, unknown ones last; equal rows stay as they were.
  const valueOf = (row, place) => {
    const cell = row.cells[place];
    const text = cell.dataset.order ?? cell.textContent;
    const number = Number(text);
    if (text === "") return null;
    return Number.isNaN(number) ? text : number;
  };
  const compare = (a, b) => (typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b)));
  const sort = (table, head) => {
    const sign = head.getAttribute("aria-sort") === "ascending" ? -1 : 1;
    for (const other of head.parentNode.cells) other.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", sign > 0 ? "ascending" : "descending");
    const keyed = [...table.tBodies[0].rows].map((row) => [valueOf(row, head.cellIndex), row]);
    keyed.sort(([a], [b]) => (a === null || b === null ? (a === null) - (b === null) : sign * compare(a, b)));
    table.tBodies[0].append(...keyed.map(([, row]) => row));
  };
  for (const table of document.querySelectorAll("table.data")) {
    for (const head of table.tHead.rows[0].cells) {
      const button = document.createElement("button");
      button.type = "button";
      button.append(...head.childNodes);
      head.append(button);
      button.addEventListener("click", () => sort(table, head));
    }
  }

  // One setting of a grid, in all tables.
  const setting = byId("setting");
  if (setting) {
    setting.closest(".filter").hidden = false;
    setting.addEventListener("change", () => {
      for (const row of document.querySelectorAll("tr[data-setting]")) {
        row.hidden = setting.value !== "" && row.dataset.setting !== setting.value;
      }
    });
  }

  // The code, to the clipboard; a page from a file may not be allowed to, then it is selected.
  const copy = byId("copy");
  const say = (words) => { byId("said").textContent = words; };
  copy.hidden = false;
  copy.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(byId("snippet").textContent);
      say("Copied.");
    } catch {
      getSelection().selectAllChildren(byId("snippet"));
      say("Selected: press Ctrl or Cmd and C to copy.");
    }
  });

  // Paper has nothing to unfold.
  const folded = () => document.querySelectorAll("details.printed:not([open])");
  let opened = [];
  addEventListener("beforeprint", () => {
    opened = [...folded()];
    for (const details of opened) details.open = true;
  });
  addEventListener("afterprint", () => {
    for (const details of opened) details.open = false;
  });
})();
