"use strict";

// What is shown is in the page already, as text: this sorts, searches, draws and copies it. Of long
// tables it also makes the rows that the page holds packed.

const SHOWN_AT_FIRST = 300; // rows: thousands take seconds to lay out
const MERGED_BELOW = 100; // square pixels; what is smaller cannot be hit
const collator = new Intl.Collator("en", { numeric: true });

function make(tag, properties = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

function sizeText(size) {
  if (size < 1000) return size === 1 ? "1 byte" : `${size} bytes`;
  const power = Math.min(Math.floor(Math.log10(size) / 3), 6);
  const scaled = size / 1000 ** power;
  // As Python writes it, which rounds a quarter to the even digit.
  const rounded = ((scaled * 4) % 4 === 1 ? scaled - 0.05 : scaled).toFixed(1);
  const text = Number(rounded).toLocaleString("en", { minimumFractionDigits: 1 });
  return `${text} ${" kMGTPE"[power]}B`;
}

// --- tables ---

// A row is what its cells hold, in the order of the columns: texts, and of sizes numbers, or null
// where they are not known. Its element is made when it is shown.

function keyText(key) {
  return typeof key === "string" ? key : key === null ? "not known" : sizeText(key);
}

function readRow(element, numeric) {
  const keys = [...element.cells].map((cell, column) => {
    if (!numeric[column]) return cell.textContent;
    return cell.dataset.value === undefined ? null : Number(cell.dataset.value);
  });
  return { element, keys };
}

// What lies in a store object comes as its number in the table of these, and the rest.
async function unpackRows(text, paths) {
  if (text === undefined) return [];
  const bytes = Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
  const unpacked = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  const whole = (key) => (Array.isArray(key) ? paths[key[0]] + key[1] : key);
  const rows = await new Response(unpacked).json();
  return rows.map((keys) => ({ element: null, keys: keys.map(whole) }));
}

function elementOf(row, pattern) {
  if (row.element === null) {
    row.element = pattern.cloneNode(true);
    row.keys.forEach((key, column) => {
      const cell = row.element.cells[column];
      delete cell.dataset.value;
      (cell.querySelector("code") ?? cell).textContent = keyText(key);
    });
  }
  return row.element;
}

function compareKeys(one, other) {
  return typeof one === "string" ? collator.compare(one, other) : one - other;
}

function sortRows(rows, column, descending) {
  const sign = descending ? -1 : 1;
  rows.sort(({ keys: { [column]: one } }, { keys: { [column]: other } }) => {
    if (one === null || other === null) return (one === null) - (other === null);
    return sign * compareKeys(one, other);
  });
}

function matches(row, words) {
  row.text ??= row.keys.map(keyText).join(" ").toLowerCase();
  return words.every((word) => row.text.includes(word));
}

function makeSortable(headings, numeric, sort) {
  headings.forEach((heading, column) => {
    const button = make("button", { type: "button" }, ...heading.childNodes);
    heading.append(button);
    button.addEventListener("click", () => {
      // Of numbers the large ones are looked for, of names the first.
      const first = numeric[column] ? "descending" : "ascending";
      const second = numeric[column] ? "ascending" : "descending";
      const order = heading.ariaSort === first ? second : first;
      for (const other of headings) other.ariaSort = other === heading ? order : "none";
      sort(column, order === "descending");
    });
  });
}

// Gives all rows of a section's table, and how to show one of them.
async function makeTable(section, table, paths) {
  const body = table.tBodies[0];
  const place = table.closest(".table");
  const headings = [...table.tHead.rows[0].cells];
  const numeric = headings.map((heading) => heading.dataset.kind === "number");
  const listed = [...body.rows].map((element) => readRow(element, numeric));
  const packed = await unpackRows(table.dataset.rest, paths).catch(() => null);
  const rows = listed.concat(packed ?? []);
  const title = section.querySelector("h2").firstChild.data.trim();
  const input = make("input", { type: "search", id: `${section.id}-search` });
  input.ariaLabel = `Search ${title}`;
  const label = make("label", { htmlFor: input.id }, "Search");
  const count = make("output", { htmlFor: input.id });
  const more = make("button", { type: "button", className: "more" }, "Show more");
  let found = rows;
  let limit = SHOWN_AT_FIRST;
  let selected = null;

  const show = () => {
    body.replaceChildren(...found.slice(0, limit).map((row) => elementOf(row, listed[0].element)));
    more.hidden = found.length <= limit;
    const shown = more.hidden ? "" : `, ${limit} of them shown`;
    count.value = `${found.length} of ${rows.length} found${shown}`;
  };
  const search = () => {
    const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
    found = rows.filter((row) => matches(row, words));
    show();
  };
  input.addEventListener("input", search);
  more.addEventListener("click", () => {
    limit *= 10;
    show();
    place.focus();
  });
  makeSortable(headings, numeric, (column, descending) => {
    sortRows(rows, column, descending);
    search();
  });
  show();
  place.before(make("div", { className: "search" }, label, input, count, more));
  if (packed !== null) section.querySelector(".packed")?.remove();

  const showRow = (row) => {
    if (!found.includes(row)) {
      input.value = "";
      search();
    }
    limit = Math.max(limit, found.indexOf(row) + 1);
    show();
    selected?.classList.remove("selected");
    selected = row.element;
    selected.classList.add("selected");
    selected.tabIndex = -1;
    selected.focus({ preventScroll: true });
    selected.scrollIntoView({ block: "center" });
  };
  return { rows, showRow };
}

// --- treemap ---

function sumSizes(items) {
  return items.reduce((sum, item) => sum + item.size, 0);
}

// One row of the layout, along the shorter side of the box; gives what is left of the box.
function placeRow(row, area, scale, box, placed) {
  const upright = box.width >= box.height;
  const depth = area / (upright ? box.height : box.width);
  let along = upright ? box.y : box.x;
  for (const item of row) {
    const length = (item.size * scale) / depth;
    placed.push(
      upright
        ? { item, x: box.x, y: along, width: depth, height: length }
        : { item, x: along, y: box.y, width: length, height: depth },
    );
    along += length;
  }
  return upright
    ? { ...box, x: box.x + depth, width: box.width - depth }
    : { ...box, y: box.y + depth, height: box.height - depth };
}

// Squarified treemap (Bruls, Huizing, van Wijk 2000): a row takes items, largest first, for as long
// as the worst of them does not get longer and thinner by it.
function squarify(items, box) {
  const sorted = [...items].sort((one, other) => other.size - one.size);
  const scale = (box.width * box.height) / sumSizes(sorted);
  const placed = [];
  let rest = box;
  let start = 0;
  while (start < sorted.length) {
    const side = Math.min(rest.width, rest.height) ** 2;
    const largest = sorted[start].size * scale;
    let end = start;
    let area = 0;
    let worst = Infinity;
    for (; end < sorted.length; end += 1) {
      const smallest = sorted[end].size * scale;
      const tried = (area + smallest) ** 2;
      const thinnest = Math.max((side * largest) / tried, tried / (side * smallest));
      if (thinnest > worst) break;
      worst = thinnest;
      area += smallest;
    }
    rest = placeRow(sorted.slice(start, end), area, scale, rest, placed);
    start = end;
  }
  return placed;
}

function mergeSmall(items, limit) {
  const small = items.filter((item) => item.size < limit);
  if (small.length < 2) return items;
  const name = `${small.length} smaller`;
  const merged = { ...small[0], name, size: sumSizes(small), closure: null };
  return [...items.filter((item) => item.size >= limit), merged];
}

// The table of sums is the legend: it names the groups, and has their colours.
function readLooks() {
  const swatches = [...document.querySelectorAll("#sizes .swatch")];
  return new Map(swatches.map((swatch) => [swatch.parentElement.textContent, swatch.classList[1]]));
}

function readItems(rows) {
  const items = rows.map((row) => {
    const [name, group, size, closure] = row.keys;
    return { row, name, group, size, closure };
  });
  return items.filter((item) => item.size > 0);
}

function layOut(items, groups, width, height) {
  const limit = (MERGED_BELOW * sumSizes(items)) / (width * height);
  const parts = groups
    .map((group) => items.filter((item) => item.group === group))
    .filter((members) => members.length > 0)
    .map((members) => ({ members: mergeSmall(members, limit), size: sumSizes(members) }));
  const boxes = squarify(parts, { x: 0, y: 0, width, height });
  return boxes.flatMap((box) => squarify(box.item.members, box));
}

function describe(item) {
  const { group, size, closure } = item;
  const whole = closure === null ? "together" : `with all that it needs ${sizeText(closure)}`;
  return `${group}: ${sizeText(size)}, ${whole}`;
}

function makeTile({ item, x, y, width, height }, map, looks) {
  const className = `tile ${looks.get(item.group)}`;
  const tile = make("button", { type: "button", className, tabIndex: -1 });
  tile.ariaLabel = `${item.name}, ${describe(item)}`;
  // In shares of the map, so that they fit on paper too.
  tile.style.left = `${(100 * x) / map.width}%`;
  tile.style.top = `${(100 * y) / map.height}%`;
  tile.style.width = `${(100 * width) / map.width}%`;
  tile.style.height = `${(100 * height) / map.height}%`;
  const text = item.name.replace(/^(python|cuda)\d+\.\d+-/, "");
  if (width > 64 && height > 20) tile.append(make("span", {}, text));
  if (width > 64 && height > 38) tile.append(make("span", {}, sizeText(item.size)));
  if (!tile.firstChild) tile.classList.add("bare");
  return tile;
}

const DIRECTIONS = {
  ArrowLeft: [-1, 0],
  ArrowRight: [1, 0],
  ArrowUp: [0, -1],
  ArrowDown: [0, 1],
};

// The tile whose middle lies nearest in that direction; what lies aside counts double.
function neighbour(placed, current, [right, down]) {
  const middle = (box) => [box.x + box.width / 2, box.y + box.height / 2];
  const [x, y] = middle(current);
  let best = current;
  let nearest = Infinity;
  for (const box of placed) {
    const [dx, dy] = [middle(box)[0] - x, middle(box)[1] - y];
    const ahead = dx * right + dy * down;
    const distance = ahead + 2 * Math.abs(dx * down + dy * right);
    if (ahead > 0.5 && distance < nearest) [best, nearest] = [box, distance];
  }
  return best;
}

function makeTreemap(place, rows, showRow) {
  const items = readItems(rows);
  if (items.length === 0) return;
  const looks = readLooks();
  const hint = make("p", { className: "hint", id: "treemap-hint" });
  const idle = "Each block is a store object, as large as its own size. Point at one, or walk with " +
    "the arrow keys; a click or Enter shows it in the table.";
  hint.textContent = idle;
  const map = make("div", { className: "map", role: "group", ariaLabel: "Treemap of own sizes" });
  map.setAttribute("aria-describedby", hint.id);
  place.append(hint, map);

  let placed = [];
  let tiles = [];
  let current = 0;
  const goTo = (index) => {
    tiles[current].tabIndex = -1;
    current = index;
    tiles[current].tabIndex = 0;
  };
  const tell = (tile) => {
    const box = placed[tiles.indexOf(tile)];
    if (box) hint.replaceChildren(make("strong", {}, box.item.name), ` ${describe(box.item)}`);
    else hint.textContent = idle;
  };
  let drawn = { width: 0, height: 0 };
  const draw = () => {
    const size = { width: map.clientWidth, height: map.clientHeight };
    if (size.width === 0) return;
    // An observer's first call is for the size that the map was drawn in.
    if (size.width === drawn.width && size.height === drawn.height) return;
    drawn = size;
    const focused = map.contains(document.activeElement);
    const was = placed[current]?.item.name;
    placed = layOut(items, [...looks.keys()], size.width, size.height);
    tiles = placed.map((box) => makeTile(box, size, looks));
    map.replaceChildren(...tiles);
    current = 0;
    goTo(Math.max(0, placed.findIndex((box) => box.item.name === was)));
    if (focused) tiles[current].focus();
  };
  map.addEventListener("focusin", (event) => {
    goTo(tiles.indexOf(event.target));
    tell(event.target);
  });
  map.addEventListener("pointerover", (event) => tell(event.target.closest(".tile")));
  map.addEventListener("pointerleave", () => tell(document.activeElement));
  map.addEventListener("click", (event) => {
    const tile = event.target.closest(".tile");
    if (tile) showRow(placed[tiles.indexOf(tile)].item.row);
  });
  map.addEventListener("keydown", (event) => {
    const direction = DIRECTIONS[event.key];
    if (!direction) return;
    event.preventDefault();
    tiles[placed.indexOf(neighbour(placed, placed[current], direction))].focus();
  });
  new ResizeObserver(draw).observe(map);
  draw();
}

// --- what is to be pasted ---

async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return document.execCommand("copy"); // of what is selected
  }
}

function makeCopyable(code) {
  const button = make("button", { type: "button", className: "copy" }, "Copy");
  button.ariaLabel = `Copy ${code.textContent}`;
  button.addEventListener("click", async () => {
    getSelection().selectAllChildren(code);
    button.textContent = (await copy(code.textContent)) ? "Copied" : "Selected";
  });
  code.after(button);
}

// --- the page ---

async function start() {
  document.querySelectorAll("code.paste").forEach(makeCopyable);
  let paths = [];
  for (const section of document.querySelectorAll("main > section:not(#sizes)")) {
    const table = section.querySelector("table");
    if (!table) continue;
    const { rows, showRow } = await makeTable(section, table, paths);
    if (section.id === "objects") {
      paths = rows.map((row) => row.keys.at(-1));
      const treemap = document.getElementById("treemap");
      if (treemap) makeTreemap(treemap, rows, showRow);
    }
  }
}
start();
