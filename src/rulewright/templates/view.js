
"use strict";
// What is shown was written by models and strangers: it becomes text nodes, never markup.
const narrow = () => matchMedia("(max-width: 799px)").matches;
const $ = (id) => document.getElementById(id);
const ROW = 64;
const KEPT_BLOCKS = 24;
const LONG = 40000;
const MANY_LINES = 400;

function el(tag, kind, ...kids) {
  const made = document.createElement(tag);
  if (kind) made.className = kind;
  made.append(...kids.filter((kid) => kid !== null && kid !== undefined && kid !== ""));
  return made;
}

async function unpack(id) {
  const raw = atob($(id).textContent);
  const bytes = new Uint8Array(raw.length);
  for (let i = 0; i < raw.length; i++) bytes[i] = raw.charCodeAt(i);
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return JSON.parse(await new Response(stream).text());
}

// Characters that are not seen, or that change the order of what is read, are written out.
const UNSEEN = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]/g;
const plainly = (text) => text.replace(UNSEEN, (c) => "\\u" + c.charCodeAt(0).toString(16).padStart(4, "0"));

// ---- colors -------------------------------------------------------------------------------------
const words = (text) => new Set(text.split(" "));
const PYTHON = words("False None True and as assert async await break case class continue def del elif else except finally for from global if import in is lambda match nonlocal not or pass raise return try while with yield");
const BRACES = words("abstract as async await bool boolean break case catch chan char class const constexpr continue crate default defer delete do double else enum export extends extern final finally float fn for from func function go goto if impl implements import in instanceof int interface let long loop match mod module move mut namespace new nil null nullptr of package private protected pub public raise range return select self short signed sizeof static std string struct super switch template this throw throws trait true false try type typedef typename typeof undefined union unsafe unsigned use using var virtual void volatile where while with yield");
const RUBY = words("BEGIN END alias and attr_accessor attr_reader attr_writer begin break case class def defined? do else elsif end ensure extend false for if in include lambda loop module next nil not or private proc protected public raise redo require require_relative rescue retry return self super then true undef unless until when while yield");
const PHP = words("abstract and array as break callable case catch class clone const continue declare default do echo else elseif empty enum extends false final finally fn for foreach function global goto if implements include include_once instanceof insteadof interface isset list match namespace new null or print private protected public readonly require require_once return self static switch throw trait true try unset use var while xor yield");
const CSHARP = words("abstract as async await base bool break byte case catch char class const continue decimal default delegate do double else enum event explicit extern false finally fixed float for foreach get if implicit in init int interface internal is lock long namespace new null object operator out override params partial private protected public readonly record ref return sealed set short sizeof static string struct switch this throw true try typeof uint ulong unsafe using var virtual void volatile when where while with yield");
const KOTLIN = words("abstract actual annotation as break by catch class companion const constructor continue crossinline data do else enum expect external false final finally for fun get if import in infix init inline inner interface internal is lateinit noinline null object open operator out override package private protected public reified return sealed set super suspend tailrec this throw true try typealias val value var vararg when where while");
const TEXTS = String.raw`"(?:[^"\\\n]|\\.)*"?`;
const HOLE = String.raw`(?<hole>\$\$?\$?[A-Z_][A-Z0-9_]*)`;
const REST = String.raw`(?<number>\b\d[\w.]*)|(?<name>[A-Za-z_]\w*)`;
const hash = new RegExp(String.raw`(?<text>"""[^]*?(?:"""|$)|'''[^]*?(?:'''|$)|${TEXTS}|'(?:[^'\\\n]|\\.)*'?)|(?<quiet>#.*)|${HOLE}|${REST}`, "g");
const slash = (single, line = String.raw`\/\/`) => new RegExp(String.raw`(?<text>${TEXTS}|${single}|${"`"}(?:[^${"`"}\\]|\\[^])*${"`"}?)|(?<quiet>(?:${line}).*|\/\*[^]*?(?:\*\/|$))|${HOLE}|${REST}`, "g");
const script = slash(String.raw`'(?:[^'\\\n]|\\.)*'?`);
const php = slash(String.raw`'(?:[^'\\]|\\[^])*'?`, String.raw`\/\/|#(?!\[)`);
const chars = slash(String.raw`'(?:[^'\\\n]|\\.[^'\n]{0,8})'`);
const yaml = new RegExp(String.raw`(?<key>^[ \t]*(?:- )*[\w-]+(?=:(?:\s|$)))|(?<quiet>(?<=^|\s)#.*)|(?<text>${TEXTS}|'(?:[^'\n]|'')*'?)|${HOLE}|(?<number>\b\d+\b)`, "gm");
const GRAMMAR = {
  python: [hash, PYTHON], yaml: [yaml, null], javascript: [script, BRACES], typescript: [script, BRACES], tsx: [script, BRACES],
  ruby: [hash, RUBY], php: [php, PHP], csharp: [chars, CSHARP], kotlin: [chars, KOTLIN],
};

// A text in colors; what lies between `from` and `to` is marked.
function paint(text, language, from = 0, to = 0) {
  const out = document.createDocumentFragment();
  const put = (start, end, kind) => {
    const parts = [[start, Math.min(end, from), false], [Math.max(start, from), Math.min(end, to), true], [Math.max(start, to), end, false]];
    for (const [a, b, marked] of from < to ? parts : [[start, end, false]]) {
      if (a >= b) continue;
      const piece = pieces(text.slice(a, b), kind);
      out.append(marked ? el("mark", "", piece) : piece);
    }
  };
  if (text.length > LONG) {
    put(0, text.length, "");
    return out;
  }
  const [grammar, known] = GRAMMAR[language] || [chars, BRACES];
  let done = 0;
  for (const found of text.matchAll(grammar)) {
    const groups = found.groups;
    let kind = Object.keys(groups).find((name) => groups[name] !== undefined);
    if (kind === "name") kind = known && known.has(found[0]) ? "word" : "";
    if (!kind) continue;
    put(done, found.index, "");
    put(found.index, found.index + found[0].length, kind);
    done = found.index + found[0].length;
  }
  put(done, text.length, "");
  return out;
}

function pieces(text, kind) {
  const shown = plainly(text);
  if (!kind && shown === text) return text;
  return el("span", shown === text ? kind : `${kind} odd`, shown);
}

const codeBox = (text, language) => el("pre", "code", paint(text, language));

// ---- diffs --------------------------------------------------------------------------------------
function ends(a, b) {
  let lead = 0;
  while (lead < a.length && lead < b.length && a[lead] === b[lead]) lead++;
  let tail = 0;
  while (tail < a.length - lead && tail < b.length - lead && a[a.length - 1 - tail] === b[b.length - 1 - tail]) tail++;
  return [lead, tail];
}

// The part of each line that changed, for as many lines as went and came side by side.
function changes(lines) {
  const found = new Map();
  for (let i = 0; i < lines.length; ) {
    let gone = 0;
    while (i + gone < lines.length && lines[i + gone][0] === "-") gone++;
    let come = 0;
    while (i + gone + come < lines.length && lines[i + gone + come][0] === "+") come++;
    if (gone && gone === come) {
      for (let k = 0; k < gone; k++) {
        const a = lines[i + k].slice(1);
        const b = lines[i + gone + k].slice(1);
        const [lead, tail] = ends(a, b);
        if (lead + tail === 0) continue;
        found.set(i + k, [lead, a.length - tail]);
        found.set(i + gone + k, [lead, b.length - tail]);
      }
    }
    i += Math.max(1, gone + come);
  }
  return found;
}

function diffBox(diff, language) {
  if (!diff) return el("p", "meta", "Nothing changes.");
  const lines = diff.split("\n");
  const marked = changes(lines);
  const sheet = el("div", "sheet");
  const show = (from, to) => {
    for (let i = from; i < Math.min(to, lines.length); i++) {
      const line = lines[i];
      if (line.startsWith("@@")) {
        sheet.append(el("div", "line at", plainly(line)));
        continue;
      }
      const kind = { "+": "line add", "-": "line del" }[line[0]] || "line";
      sheet.append(el("div", kind, el("span", "sign", `${line[0] || " "} `), paint(line.slice(1), language, ...(marked.get(i) || []))));
    }
  };
  show(0, MANY_LINES);
  const box = el("div", "", el("pre", "diff", sheet));
  if (lines.length > MANY_LINES) {
    const button = el("button", "", `Show all ${lines.length} lines`);
    button.onclick = () => { show(MANY_LINES, lines.length); button.remove(); };
    box.append(button);
  }
  return box;
}

// ---- one item -----------------------------------------------------------------------------------
const number = (value) => (typeof value === "number" ? value.toFixed(3) : "–");
const tone = (right) => (right === true || right === 1 ? "yes" : right === false || right === 0 ? "no" : "");
const pill = (text, right) => el("span", `pill ${tone(right)}`, text || "–");
const heading = (text) => el("h2", "", text);
const grid = (rows) => el("div", "scroll", el("table", "", el("tbody", "", ...rows)));

function folded(title, content) {
  const box = el("details", "", el("summary", "", title));
  box.addEventListener("toggle", () => { if (box.open && box.childNodes.length === 1) box.append(content()); });
  return box;
}

function gauge(value) {
  const bar = el("i", "");
  bar.style.width = `${Math.min(100, Math.abs(value) * 100)}%`;
  return el("span", value < 0 ? "gauge minus" : "gauge", bar);
}

function rewardBox(rewards) {
  const rows = [];
  for (const [name, parts] of Object.entries(rewards)) {
    for (const [part, value] of Object.entries(parts)) {
      const shown = typeof value === "number" ? gauge(value) : null;
      const label = part === "value" ? name : `\u2003${part.replace(/_/g, " ")}`;
      rows.push(el("tr", "", el("th", "", label), el("td", "", number(value)), el("td", "", shown)));
    }
  }
  return grid(rows);
}

const factBox = (facts) => grid(Object.entries(facts).map(([name, value]) => el("tr", "", el("th", "", plainly(name)), el("td", "", plainly(value)))));

function triedBox(tried, language) {
  const boxes = tried.map((one) => {
    const parts = () => {
      const said = one.diff ? "What the answer does:" : one.right === null ? "" : "The answer changes nothing.";
      const inner = el("div", "", said ? el("p", "meta", said) : "");
      if (one.diff) inner.append(diffBox(one.diff, language));
      if (one.wanted) inner.append(el("p", "meta", "What it should become:"), diffBox(one.wanted, language));
      return inner;
    };
    const box = folded("", parts);
    box.firstChild.append(pill(one.verdict, one.right), ` ${one.name}`);
    return box;
  });
  return el("div", "", ...boxes);
}

function answerBox(answer, item, name) {
  const box = el("section", "run");
  if (name) box.append(el("h3", "", name));
  if (!answer) {
    box.append(el("p", "meta", "This run has no row for the item."));
    return box;
  }
  const language = item.language;
  box.append(el("p", "verdict", pill(answer.verdict, answer.right), " ", plainly(answer.detail)));
  if (answer.rule) box.append(heading("Rule"), answer.words ? el("p", "meta", plainly(answer.words)) : "", codeBox(answer.rule, "yaml"));
  else if (answer.text) box.append(heading("Answer"), codeBox(answer.text, item.kind === "code" ? language : ""));
  if (answer.diff || (item.code && (answer.rule || answer.text))) box.append(heading("What it does"), diffBox(answer.diff, language));
  if (answer.tried.length) box.append(heading("Tried on"), triedBox(answer.tried, language));
  if (Object.keys(answer.rewards).length) box.append(heading("Reward by part"), rewardBox(answer.rewards));
  if (answer.rule && answer.text) box.append(folded("The answer as it was given", () => codeBox(answer.text, "")));
  const facts = Object.keys(answer.facts).length ? () => factBox(answer.facts) : null;
  if (facts && item.kind === "file") box.append(heading("Places"), facts());
  else if (facts) box.append(folded("What the file says of it", facts));
  return box;
}

function itemBox(item, runs) {
  const box = document.createDocumentFragment();
  const back = el("button", "", "← Back");
  back.id = "back";
  back.onclick = () => open(-1);
  box.append(back, el("p", "instruction", plainly(item.instruction || item.name)));
  box.append(el("p", "meta", plainly([item.kind, item.language, item.name].filter(Boolean).join(" · "))));
  const wrong = item.answers.some((answer) => !answer || answer.diff !== item.wanted);
  if (item.wanted && wrong) box.append(heading("What was wanted"), diffBox(item.wanted, item.language));
  const named = runs.length > 1;
  box.append(el("div", "runs", ...item.answers.map((answer, i) => answerBox(answer, item, named ? runs[i] : ""))));
  if (item.code) box.append(folded("The whole code before", () => codeBox(item.code, item.language)));
  return box;
}

// ---- blocks, unpacked when needed ---------------------------------------------------------------
let index = null;
const blocks = new Map();

function block(n) {
  const known = blocks.get(n) || unpack(`block${n}`);
  blocks.delete(n);
  blocks.set(n, known);
  if (blocks.size > KEPT_BLOCKS) blocks.delete(blocks.keys().next().value);
  return known;
}

const itemAt = async (i) => (await block(Math.floor(i / index.block)))[i % index.block];

function searched(item) {
  const said = item.answers.flatMap((answer) => (answer ? [answer.text, answer.rule || "", answer.detail, answer.verdict] : []));
  return [item.name, item.instruction, item.code, ...said].join("\n").toLowerCase();
}

// ---- choosing -----------------------------------------------------------------------------------
const CHANGES = ["any", "gained", "lost", "right in both", "right in none", "answered otherwise"];
const ORDERS = ["as in the file", "lowest reward", "highest reward"];
const selects = {};
let shown = new Uint32Array(0);
let opened = -1;
let job = 0;

const column = (name) => index.columns[name] || [];
const chosenRun = () => (selects.run ? Number(selects.run.value) : 0);
const otherRun = () => (selects.against ? Number(selects.against.value) : 0);

function addSelect(key, label, options) {
  const select = el("select", "");
  for (const [value, text] of options) {
    const option = el("option", "", text);
    option.value = value;
    select.append(option);
  }
  select.onchange = () => { if (key === "run") countVerdicts(); apply(); };
  selects[key] = select;
  $("filters").append(el("label", "", label, select));
  return select;
}

function counted(values, names) {
  const counts = new Map();
  for (const value of values) counts.set(value, (counts.get(value) || 0) + 1);
  return [...counts].sort((a, b) => b[1] - a[1]).map(([value, n]) => [value, `${plainly(names[value]) || "–"} (${n.toLocaleString("en")})`]);
}

function countVerdicts() {
  const before = selects.verdict.value;
  const options = counted(column(`verdict${chosenRun()}`), index.names.verdict);
  selects.verdict.replaceChildren(...[["", "any"], ...options].map(([value, text]) => { const o = el("option", "", text); o.value = value; return o; }));
  if (options.some(([value]) => String(value) === before)) selects.verdict.value = before;
}

function makeFilters() {
  if (index.runs.length > 1) {
    const runs = index.runs.map((name, i) => [i, plainly(name)]);
    addSelect("run", "Run", runs).value = String(runs.length - 1);
    addSelect("against", "Compared with", runs).value = "0";
    addSelect("change", "Gained or lost", CHANGES.map((name) => [name === "any" ? "" : name, name]));
  }
  addSelect("verdict", "Verdict", []);
  countVerdicts();
  for (const facet of index.facets) {
    const options = counted(column(facet), index.names[facet] || []);
    if (options.length > 1 && options.length <= 2000) addSelect(facet, facet[0].toUpperCase() + facet.slice(1), [["", "any"], ...options]);
  }
  const rewarded = index.runs.some((_, i) => column(`reward${i}`).some((value) => value !== null));
  if (rewarded) addSelect("order", "Order", ORDERS.map((name, i) => [i ? name : "", name]));
}

// Whether most of a task's answers in a run are right; null where there is none.
const majorities = new Map();

function majority(run) {
  if (majorities.has(run)) return majorities.get(run);
  const sums = new Map();
  const right = column(`right${run}`);
  column("task").forEach((task, i) => {
    if (right[i] < 0) return;
    const sum = sums.get(task) || [0, 0];
    sums.set(task, [sum[0] + right[i], sum[1] + 1]);
  });
  const found = (task) => (sums.has(task) ? sums.get(task)[0] / sums.get(task)[1] >= 0.5 : null);
  majorities.set(run, found);
  return found;
}

function changeTest(kind) {
  if (!kind) return () => true;
  const before = majority(otherRun());
  const after = majority(chosenRun());
  const tasks = column("task");
  const [va, vb] = [column(`verdict${otherRun()}`), column(`verdict${chosenRun()}`)];
  const tests = {
    gained: (i) => before(tasks[i]) === false && after(tasks[i]) === true,
    lost: (i) => before(tasks[i]) === true && after(tasks[i]) === false,
    "right in both": (i) => before(tasks[i]) === true && after(tasks[i]) === true,
    "right in none": (i) => before(tasks[i]) === false && after(tasks[i]) === false,
    "answered otherwise": (i) => va[i] !== vb[i],
  };
  return tests[kind];
}

function candidates() {
  const tests = [];
  const equals = (key, values) => {
    const wanted = selects[key] && selects[key].value;
    if (wanted) tests.push((i) => values[i] === Number(wanted));
  };
  equals("verdict", column(`verdict${chosenRun()}`));
  for (const facet of index.facets) equals(facet, column(facet));
  if (selects.change && selects.change.value) tests.push(changeTest(selects.change.value));
  const found = [];
  for (let i = 0; i < index.n; i++) if (tests.every((test) => test(i))) found.push(i);
  const order = selects.order ? selects.order.value : "";
  if (order) {
    const reward = column(`reward${chosenRun()}`);
    const sign = order === "lowest reward" ? 1 : -1;
    const value = (i) => (reward[i] === null || reward[i] === undefined ? Infinity : sign * reward[i]);
    found.sort((a, b) => value(a) - value(b) || a - b);
  }
  return found;
}

async function apply() {
  const mine = ++job;
  remember();
  const found = candidates();
  const wanted = $("query").value.toLowerCase().split(/\s+/).filter(Boolean);
  $("list").scrollTop = 0;
  if (!wanted.length) {
    list(found, "");
    return openFirst();
  }
  // Titles are here; all other texts are unpacked block by block, in the order of the list.
  const hits = [];
  let drawn = performance.now();
  list(hits, "searching …");
  for (let k = 0; k < found.length; k++) {
    const i = found[k];
    const inTitle = holds(index.titles[i].toLowerCase(), wanted);
    if (inTitle || holds(searched(await itemAt(i)), wanted)) hits.push(i);
    if (mine !== job) return;
    if (performance.now() - drawn > 60) {
      list(hits, `searching … ${Math.floor((100 * k) / found.length)} %`);
      await new Promise((done) => setTimeout(done));
      if (mine !== job) return;
      drawn = performance.now();
    }
  }
  list(hits, "");
  openFirst();
}

// Beside a list without the item that is open, its first one is shown.
function openFirst() {
  const seen = Array.prototype.includes.call(shown, opened);
  if (!narrow() && index.n && !seen) open(shown.length ? shown[0] : -1);
}

const holds = (text, wanted) => wanted.every((word) => text.includes(word));

function list(found, note) {
  shown = found;
  $("inner").style.height = `${found.length * ROW}px`;
  draw(true);
  $("summary").textContent = [summary(found), note].filter(Boolean).join(" · ");
}

function summary(found) {
  const count = (n) => n.toLocaleString("en");
  const parts = [found.length === index.n ? `${count(index.n)} items` : `${count(found.length)} of ${count(index.n)} items`];
  const right = column(`right${chosenRun()}`);
  let judged = 0;
  let good = 0;
  for (const i of found) if (right[i] >= 0) { judged++; good += right[i]; }
  if (judged) parts.push(`${count(good)} of ${count(judged)} ${index.good}`);
  if (selects.change) {
    const [gained, lost] = ["gained", "lost"].map(changeTest);
    let [won, gone] = [0, 0];
    for (const i of found) { won += gained(i); gone += lost(i); }
    parts.push(`${count(won)} gained, ${count(gone)} lost`);
  }
  return parts.join(" · ");
}

// ---- the list: only the rows that are seen exist -----------------------------------------------
const drawnRows = new Map();

function draw(anew) {
  const box = $("list");
  const first = Math.max(0, Math.floor(box.scrollTop / ROW) - 6);
  const last = Math.min(shown.length, Math.ceil((box.scrollTop + box.clientHeight) / ROW) + 6);
  for (const [place, row] of drawnRows) {
    if (anew || place < first || place >= last) { row.remove(); drawnRows.delete(place); }
  }
  for (let place = first; place < last; place++) {
    if (!drawnRows.has(place)) {
      const row = rowBox(shown[place], place);
      drawnRows.set(place, row);
      $("inner").append(row);
    }
  }
}

function rowBox(i, place) {
  const pills = index.runs.map((_, run) => pill(plainly(index.names.verdict[column(`verdict${run}`)[i]]), column(`right${run}`)[i]));
  const about = ["family", "source", "language"].filter((facet) => selects[facet]).map((facet) => index.names[facet][column(facet)[i]]);
  const reward = column(`reward${chosenRun()}`)[i];
  if (typeof reward === "number") about.push(reward.toFixed(2));
  const row = el("div", "row", el("div", "name", plainly(index.titles[i])), el("div", "about", ...pills, el("span", "rest", plainly(about.filter(Boolean).join(" · ")))));
  row.setAttribute("role", "option");
  row.setAttribute("aria-selected", String(i === opened));
  row.setAttribute("aria-posinset", place + 1);
  row.setAttribute("aria-setsize", shown.length);
  row.style.transform = `translateY(${place * ROW}px)`;
  row.onclick = () => open(i);
  return row;
}

// ---- opening, and the address that remembers it ----------------------------------------------------
async function open(i) {
  opened = i;
  remember();
  document.body.classList.toggle("reading", i >= 0);
  draw(true);
  if (i < 0) { $("item").replaceChildren(el("p", "empty", "Choose an item.")); $("list").focus(); return; }
  const item = await itemAt(i);
  if (opened !== i) return;
  $("item").replaceChildren(itemBox(item, index.runs.map(plainly)));
  $("item").scrollTop = 0;
}

function step(by) {
  const at = Array.prototype.indexOf.call(shown, opened);
  const next = at < 0 ? 0 : Math.min(shown.length - 1, Math.max(0, at + by));
  if (!shown.length) return;
  const box = $("list");
  const top = next * ROW;
  if (top < box.scrollTop) box.scrollTop = top;
  if (top + ROW > box.scrollTop + box.clientHeight) box.scrollTop = top + ROW - box.clientHeight;
  open(shown[next]);
}

function remember() {
  const state = new URLSearchParams();
  if ($("query").value) state.set("q", $("query").value);
  for (const [key, select] of Object.entries(selects)) {
    const base = select.options[key === "run" ? select.options.length - 1 : 0];
    if (base && select.value !== base.value) state.set(key, select.selectedOptions[0].textContent.replace(/ \([\d,]+\)$/, ""));
  }
  if (opened >= 0) state.set("item", opened);
  const hash = `#${state}`;
  if (hash !== (location.hash || "#")) history.replaceState(null, "", hash);
}

function recall() {
  const state = new URLSearchParams(location.hash.slice(1));
  $("query").value = state.get("q") || "";
  const set = (key) => {
    const wanted = state.get(key);
    const option = wanted !== null && selects[key] && [...selects[key].options].find((one) => one.textContent.replace(/ \([\d,]+\)$/, "") === wanted);
    if (option) selects[key].value = option.value;
  };
  set("run");
  countVerdicts();
  Object.keys(selects).forEach(set);
  const item = Number(state.get("item") ?? -1);
  return Number.isInteger(item) && item >= 0 && item < index.n ? item : -1;
}

// ---- begin ----------------------------------------------------------------------------------------
async function begin() {
  if (typeof DecompressionStream === "undefined") {
    $("summary").textContent = "This page needs a browser of 2023 or later (DecompressionStream).";
    return;
  }
  index = await unpack("index");
  $("title").textContent = plainly(index.title);
  makeFilters();
  const item = recall();
  let wait = 0;
  $("query").oninput = () => { clearTimeout(wait); wait = setTimeout(apply, 150); };
  $("list").onscroll = () => draw(false);
  addEventListener("resize", () => draw(false));
  $("more").onclick = () => $("more").setAttribute("aria-expanded", String($("filters").classList.toggle("open")));
  document.addEventListener("keydown", (event) => {
    const typing = /^(INPUT|SELECT)$/.test(document.activeElement.tagName);
    if (event.key === "Escape") { if (typing) document.activeElement.blur(); else open(-1); return; }
    if (typing || event.ctrlKey || event.metaKey || event.altKey) return;
    const inItem = document.activeElement === $("item");
    const by = { j: 1, k: -1, ArrowDown: inItem ? 0 : 1, ArrowUp: inItem ? 0 : -1 }[event.key];
    if (by) { event.preventDefault(); step(by); }
    if (event.key === "/") { event.preventDefault(); $("query").focus(); }
  });
  opened = item;
  await apply();
  if (item >= 0 || narrow()) await open(item);
  document.documentElement.dataset.ready = "yes";
}

begin().catch((error) => { $("summary").textContent = `This page is damaged: ${error}`; throw error; });
