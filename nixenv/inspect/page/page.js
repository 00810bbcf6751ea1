"use strict";

// Everything shown is in the page already, as text. This sorts, searches and draws it.

const SHOWN_AT_FIRST = 300; // rows, as page.css has it: thousands take seconds to lay out
const MERGED_BELOW = 100; // square pixels; what is smaller cannot be hit
const GROUPS = { python: "Python", cuda: "CUDA", other: "Rest" };
const collator = new Intl.Collator("en", { numeric: true });

function make(tag, properties = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

// --- tables ---

function sortKey(cell, numeric) {
  if (!numeric) return cell.textContent;
  return cell.dataset.value === undefined ? null : Number(cell.dataset.value);
}

function compareKeys(one, other) {
  return typeof one === "string" ? collator.compare(one, other) : one - other;
}

function sortRows(table, column, numeric, descending) {
  const body = table.tBodies[0];
  const sign = descending ? -1 : 1;
  const keyed = [...body.rows].map((row) => [sortKey(row.cells[column], numeric), row]);
  keyed.sort(([one], [other]) => {
    if (one === null || other === null) return (one === null) - (other === null);
    return sign * compareKeys(one, other);
  });
  body.append(...keyed.map(([, row]) => row));
}

function makeSortable(table) {
  const headings = [...table.tHead.rows[0].cells];
  headings.forEach((heading, column) => {
    const numeric = heading.dataset.kind === "number";
    const button = make("button", { type: "button" }, ...heading.childNodes);
    heading.append(button);
    button.addEventListener("click", () => {
      // Of numbers the large ones are looked for, of names the first.
      const first = numeric ? "descending" : "ascending";
      const second = numeric ? "ascending" : "descending";
      const order = heading.ariaSort === first ? second : first;
      sortRows(table, column, numeric, order === "descending");
      for (const other of headings) other.ariaSort = other === heading ? order : "none";
    });
  });
}

function makeSearchable(section, table) {
  const rows = [...table.tBodies[0].rows];
  const texts = rows.map(() => null); // read at the first search
  const place = table.closest(".table");
  const title = section.querySelector("h2").firstChild.data.trim();
  const input = make("input", { type: "search", id: `${section.id}-search` });
  input.ariaLabel = `Search ${title}`;
  const label = make("label", { htmlFor: input.id }, "Search");
  const count = make("output", { htmlFor: input.id });
  const more = make("button", { type: "button", className: "more" }, "Show all");
  const search = () => {
    const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
    let found = 0;
    rows.forEach((row, index) => {
      if (words.length > 0) texts[index] ??= row.textContent.toLowerCase();
      row.hidden = !words.every((word) => texts[index].includes(word));
      if (!row.hidden) found += 1;
    });
    more.hidden = !place.classList.contains("short") || found <= SHOWN_AT_FIRST;
    const shown = more.hidden ? "" : `, ${SHOWN_AT_FIRST} of them shown`;
    count.value = `${found} of ${rows.length} found${shown}`;
  };
  input.addEventListener("input", search);
  more.addEventListener("click", () => {
    place.classList.remove("short");
    search();
    place.focus();
  });
  search();
  place.before(make("div", { className: "search" }, label, input, count, more));
}

function showRow(row) {
  const input = document.getElementById("objects-search");
  if (row.hidden) {
    input.value = "";
    input.dispatchEvent(new Event("input"));
  }
  if (row.getClientRects().length === 0) document.querySelector("#objects .more").click();
  for (const other of document.querySelectorAll(".selected")) other.classList.remove("selected");
  row.classList.add("selected");
  row.tabIndex = -1;
  row.focus({ preventScroll: true });
  row.scrollIntoView({ block: "center" });
}

// --- treemap ---

function sumSizes(items) {
  return items.reduce((sum, item) => sum + item.size, 0);
}

function sizeText(size) {
  if (size < 1000) return size === 1 ? "1 byte" : `${size} bytes`;
  const power = Math.min(Math.floor(Math.log10(size) / 3), 6);
  return `${(size / 1000 ** power).toFixed(1)} ${" kMGTPE"[power]}B`;
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
  const size = sumSizes(small);
  const { group, row } = small[0];
  const name = `${small.length} smaller`;
  const merged = { row, group, name, size, own: sizeText(size), closure: null };
  return [...items.filter((item) => item.size >= limit), merged];
}

function readItems(table) {
  const items = [...table.tBodies[0].rows].map((row) => ({
    row,
    group: row.dataset.group,
    name: row.cells[0].textContent,
    size: Number(row.cells[2].dataset.value ?? 0),
    own: row.cells[2].textContent,
    closure: row.cells[3].textContent,
  }));
  return items.filter((item) => item.size > 0);
}

function layOut(items, width, height) {
  const limit = (MERGED_BELOW * sumSizes(items)) / (width * height);
  const groups = Object.keys(GROUPS)
    .map((group) => items.filter((item) => item.group === group))
    .filter((members) => members.length > 0)
    .map((members) => ({ members: mergeSmall(members, limit), size: sumSizes(members) }));
  const boxes = squarify(groups, { x: 0, y: 0, width, height });
  return boxes.flatMap((box) => squarify(box.item.members, box));
}

function describe(item) {
  const whole = item.closure === null ? "together" : `with all that it needs ${item.closure}`;
  return `${GROUPS[item.group]}: ${item.own}, ${whole}`;
}

function makeTile({ item, x, y, width, height }, map) {
  const tile = make("button", { type: "button", className: `tile ${item.group}`, tabIndex: -1 });
  tile.ariaLabel = `${item.name}, ${describe(item)}`;
  // In shares of the map, so that they fit on paper too.
  tile.style.left = `${(100 * x) / map.width}%`;
  tile.style.top = `${(100 * y) / map.height}%`;
  tile.style.width = `${(100 * width) / map.width}%`;
  tile.style.height = `${(100 * height) / map.height}%`;
  const text = item.name.replace(/^(python|cuda)\d+\.\d+-/, "");
  if (width > 64 && height > 20) tile.append(make("span", {}, text));
  if (width > 64 && height > 38) tile.append(make("span", {}, item.own));
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

function makeTreemap(place, table) {
  const items = readItems(table);
  if (items.length === 0) return;
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
    placed = layOut(items, size.width, size.height);
    tiles = placed.map((box) => makeTile(box, size));
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

// --- the page ---

for (const section of document.querySelectorAll("main > section")) {
  const table = section.querySelector("table");
  if (!table || section.id === "sizes") continue;
  makeSortable(table);
  makeSearchable(section, table);
}
const objects = document.querySelector("#objects table");
const treemap = document.getElementById("treemap");
if (objects && treemap) makeTreemap(treemap, objects);
