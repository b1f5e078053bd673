// One view per detector: sliders, steps, the photograph, and what belongs to the step.

const DATA = JSON.parse(document.getElementById("data").textContent);
const NAMES = { mtcnn: "MTCNN", retinaface: "RetinaFace" };

/** The sliders: [key in the address, label, from, to, step, read, write], where read and write work on settings. */
function slidersOf(record) {
  const plain = (name) => [(s) => s[name], (s, value) => ({ ...s, [name]: value })];
  const threshold = (k) => [
    (s) => s.score_thresholds[k],
    (s, value) => ({ ...s, score_thresholds: s.score_thresholds.map((old, n) => (n === k ? value : old)) }),
  ];
  if (record.model === "mtcnn") {
    return [
      ["pnet", "P-Net: score at least", record.floors[0], 1, 0.01, ...threshold(0)],
      ["within", "NMS within a level: IoU above", 0, 1, 0.01, ...plain("nms_within_level")],
      ["across", "NMS across levels: IoU above", 0, 1, 0.01, ...plain("nms_across_levels")],
      ["rnet", "R-Net: score above", record.floors[1], 1, 0.01, ...threshold(1)],
      ["refined", "NMS after R-Net: IoU above", 0, 1, 0.01, ...plain("nms_refined")],
      ["onet", "O-Net: score above", record.floors[2], 1, 0.01, ...threshold(2)],
      ["final", "NMS after O-Net: overlap above", 0, 1, 0.01, ...plain("nms_final")],
    ];
  }
  return [
    ["score", "Score above", record.floor, 1, 0.01, ...plain("score_threshold")],
    ["iou", "NMS: IoU above", 0, 1, 0.01, ...plain("iou_threshold")],
    ["min_face", "Longer side at least, pixels", 0, Math.max(200, record.settings.min_face), 1, ...plain("min_face")],
  ];
}

const CANNOT = {
  mtcnn: "The smallest face and the pyramid factor have no slider: they change the pyramid, and the networks would have to run again.",
  retinaface: "The size of the image has no slider: the network would have to run again.",
};

/** The steps of a detector: {id, label, count, note, layers, map?, panel?}. */
function stepsOf(record, settings, result, fates, view) {
  return record.model === "mtcnn" ? mtcnnSteps(record, settings, result, view) : retinafaceSteps(record, settings, result, view);
}

const layer = (kind, label, rows, numbers, points) => ({
  kind, label,
  items: rows.map((i) => ({ i, box: boxOf(numbers, i), points: points && pointsOf(points, i) })),
});
/** The meshes of those candidates that have one. */
const meshLayer = (record, rows) => ({
  kind: "mesh", label: "meshes", thin: true, passive: true,
  items: rows.filter((i) => record.mesh.candidates.includes(i)).map((i) => ({ i, path: meshPath(record.mesh, i) })),
});
const passive = (made) => ({ ...made, passive: true });
const without = (rows, left) => {
  const gone = new Set(left);
  return rows.filter((i) => !gone.has(i));
};

function mtcnnSteps(record, settings, result, view) {
  const t = record.windows, c = result.counts;
  const level = record.levels[view.level];
  // Cell 0 has seen pixels 0 to 11 of its level, cell 1 pixels 2 to 13: each cell is drawn as the two in the middle.
  const heat = level && {
    picture: level.heat,
    box: [5, 5, 5 + 2 * level.cells[0], 5 + 2 * level.cells[1]].map((edge) => edge / level.scale),
  };
  const ofLevel = result.windows.filter((i) => t.level[i] === view.level);
  const nms = (kept, all, numbers, label) => [
    layer("dropped", "dropped", without(all, kept), numbers),
    layer("kept", label, kept, numbers),
  ];
  const [p, r, o] = settings.score_thresholds;
  return [
    {
      id: "pyramid", label: "Pyramid", count: record.levels.length, map: heat, layers: [layer("kept", `level ${view.level}, score at least ${p}`, ofLevel, t.box)],
      note: "The photograph at many sizes. P-Net gives every window of 12 × 12 pixels of every level a score: the heat map.",
      panel: () => pyramidPanel(record, c, view.level, (k) => view.change({ level: k })),
    },
    { id: "windows", label: "P-Net passed", count: c.windows, layers: [layer("kept", "windows", result.windows, t.box)], note: `Windows with a score of at least ${p}, in pixels of the photograph.` },
    { id: "within", label: "NMS in levels", count: c.proposed, layers: nms(result.proposed, result.windows, t.box, "kept"), note: "Within each level, windows that overlap a better one are dropped." },
    { id: "across", label: "NMS across", count: c.merged, layers: nms(result.merged, result.proposed, t.box, "kept"), note: "The same over all levels together." },
    { id: "move1", label: "Moved", count: c.rnet, layers: [passive(layer("before", "before", result.merged, t.box)), layer("kept", "moved and made square", result.merged, t.rnet_box)], note: "P-Net has also said by how much each edge is off. The boxes are moved, then made square for R-Net." },
    {
      id: "rnet", label: "R-Net passed", count: c.passed_rnet, layers: [layer("rejected", "rejected", without(result.merged, result.passedRnet), t.rnet_box), layer("kept", "passed", result.passedRnet, t.rnet_box)],
      note: `R-Net looks at every box at 24 × 24 pixels and keeps those with a score above ${r}.`,
      panel: () => cropPanel(record, "rnet", result.seenByRnet, new Set(result.passedRnet), view.point),
    },
    { id: "refined", label: "NMS", count: c.refined, layers: nms(result.refined, result.passedRnet, t.rnet_box, "kept"), note: "What overlaps a better box is dropped, by R-Net's scores." },
    { id: "move2", label: "Moved", count: c.onet, layers: [passive(layer("before", "before", result.refined, t.rnet_box)), layer("kept", "moved and made square", result.refined, t.onet_box)], note: "R-Net's corrections; then square again." },
    {
      id: "onet", label: "O-Net passed", count: c.passed_onet, layers: [layer("rejected", "rejected", without(result.refined, result.passedOnet), t.onet_box), layer("kept", "passed", result.passedOnet, t.onet_box)],
      note: `O-Net looks at 48 × 48 pixels and keeps what scores above ${o}.`,
      panel: () => cropPanel(record, "onet", result.seenByOnet, new Set(result.passedOnet), view.point),
    },
    { id: "move3", label: "Moved", count: c.passed_onet, layers: [passive(layer("before", "before", result.passedOnet, t.onet_box)), layer("kept", "moved", result.passedOnet, t.face_box, t.landmarks)], note: "O-Net's corrections and its five points." },
    { id: "final", label: "Last NMS", count: c.faces, layers: nms(result.faces, result.passedOnet, t.face_box, "kept"), note: "The last suppression compares the shared area with the smaller box, so a box within another goes." },
    { id: "faces", label: "Faces", count: c.faces, layers: [layer("kept", "faces", result.faces, t.face_box, t.landmarks)], note: "What is left are the faces: the result of detect." },
  ];
}

function retinafaceSteps(record, settings, result, view) {
  const c = record.candidates;
  const byLevel = (numbers) =>
    record.levels.map((level, k) =>
      layer(`level${k}`, `stride ${level.stride}`, result.candidates.filter((i) => c.level[i] === k), numbers),
    );
  const meshes = record.mesh ? [meshLayer(record, result.faces)] : [];
  const bare = record.mesh ? result.faces.length - meshes[0].items.length : 0;
  const withoutMesh = bare ? ` The mesh of ${plural(bare, "face")} was not recorded.` : "";
  return [
    {
      id: "features", label: "Feature maps", count: record.features.length, layers: [],
      map: view.map && { picture: view.map.picture, box: mapBox(record, view.map.name) },
      note: `The network looks at the whole photograph once and makes maps of it, at ${record.levels.length} sizes.`,
      panel: () => featurePanel(record, view.map?.name, (name, picture) => view.change({ map: { name, picture } })),
    },
    { id: "anchors", label: "Anchors", count: result.counts.candidates, layers: byLevel(c.anchor), note: `Squares stand at every position of every map. These scored above ${settings.score_threshold}.`, panel: () => anchorPanel(record, result) },
    { id: "decode", label: "Boxes", count: result.counts.candidates, layers: [passive(layer("before", "anchors", result.candidates, c.anchor)), ...byLevel(c.box)], note: "Every anchor that fired becomes a box: moved and resized as the network says." },
    { id: "nms", label: "NMS", count: result.counts.kept, layers: [layer("dropped", "dropped", without(result.candidates, result.kept), c.box), layer("kept", "kept", result.kept, c.box)], note: `Best first, boxes that overlap a better one by an IoU above ${settings.iou_threshold} are dropped.` },
    { id: "faces", label: "Faces", count: result.counts.faces, layers: [...meshes, layer("kept", "faces", result.faces, c.box, c.landmarks)], note: "What is left are the faces: the result of detect." + withoutMesh },
  ];
}

/** Where a map lies on the photograph: it may reach beyond it, for its size is rounded up. */
function mapBox(record, name) {
  const feature = record.features.find((f) => f.name === name.split(".")[0]);
  const stride = 2 ** Number(feature.name.slice(-1));
  const [, h, w] = feature.shape;
  return [0, 0, (w * stride * DATA.width) / record.input[0], (h * stride * DATA.height) / record.input[1]];
}

// ---- The view of one detector -----------------------------------------------------------------------

function makeView(record) {
  unpack(record);
  const sliders = slidersOf(record);
  const view = { settings: structuredClone(record.settings), step: "faces", level: Math.min(2, Math.max(0, record.levels.length - 1)) };
  const map = record.features?.find((feature) => feature.name === "context3");
  if (map) view.map = { name: map.name, picture: map.mean };
  const counts = element("ol", { class: "steps", role: "tablist", "aria-label": "Steps" });
  const check = element("p", { class: "check", role: "status" });
  const note = element("p", { class: "note" });
  const panel = element("div", {});
  const stories = element("div", {});
  const tab = element("button", {
    type: "button", role: "tab", id: `tab-${record.model}`, "aria-controls": `model-${record.model}`,
    onclick: () => showModel(record.model),
  });
  let result, fates;
  let drawn = false; // whether the stories are those of `result`
  let opened = false;

  const describe = (i) => (record.model === "mtcnn" ? describeWindow : describeCandidate)(record, view.settings, fates, i);
  const picture = makePicture(DATA, describe);
  const inputs = new Map();
  const controls = element("form", { class: "sliders", "aria-label": "Thresholds", onsubmit: (event) => event.preventDefault() });
  for (const [key, label, from, to, step, read, write] of sliders) {
    const change = (event) => {
      const value = event.target.valueAsNumber;
      if (value >= from && value <= to) set({ settings: write(view.settings, value) });
    };
    const id = `${record.model}-${key}`;
    const range = element("input", { type: "range", id, min: from, max: to, step, oninput: change });
    const exact = element("input", { type: "number", min: from, max: to, step: "any", oninput: change, "aria-label": `${label}, exact value` });
    inputs.set(key, { range, exact, read });
    controls.append(element("div", { class: "slider" }, element("label", { for: id }, label), range, exact));
  }
  controls.append(
    element("button", { type: "button", onclick: () => set({ settings: structuredClone(record.settings) }) }, "Reset"),
    element("p", { class: "hint" }, CANNOT[record.model] + (record.model === "mtcnn"
      ? ` What P-Net scores below ${record.floors[0]} was not recorded.` + (record.floors[1] > 0 ? ` What R-Net scores up to ${record.floors[1]} was not shown to O-Net: there are too many windows.` : "")
      : ` Scores up to ${record.floor} were not recorded.`)),
  );

  const node = element(
    "div", { class: "model", hidden: true, id: `model-${record.model}`, role: "tabpanel", "aria-label": NAMES[record.model] },
    counts,
    element("div", { class: "columns" }, element("div", {}, note, picture.node), element("aside", {}, element("h3", {}, "Thresholds"), controls, check, timing(record))),
    panel, stories,
  );

  function set(change, quiet = false) {
    Object.assign(view, change);
    if (change.settings) compute();
    draw();
    if (change.step) reveal();
    if (!quiet) writeAddress();
  }
  view.change = (change) => set(change, true);
  view.point = (i) => {
    if (!picture.point(i)) {
      set({ step: stepWith(i) });
      picture.point(i);
    }
    picture.node.scrollIntoView({ block: "nearest" });
  };

  /** The last step that draws box i. */
  function stepWith(i) {
    const steps = stepsOf(record, view.settings, result, fates, view);
    const with_i = steps.filter((step) => step.layers.some((one) => !one.passive && one.items.some((item) => item.i === i)));
    return with_i.length ? with_i[with_i.length - 1].id : view.step;
  }

  function compute() {
    result = replay(record, view.settings);
    fates = (record.model === "mtcnn" ? mtcnnFates : retinafaceFates)(record, result);
    drawn = false;
    for (const { range, exact, read } of inputs.values()) {
      const value = read(view.settings);
      range.value = value;
      if (document.activeElement !== exact) exact.value = value;
    }
    node.dataset.counts = JSON.stringify(result.counts);
    node.dataset.faces = JSON.stringify(result.faces.map((i) => faceOf(record, i)));
    showCheck();
    tab.textContent = `${NAMES[record.model]}: ${plural(result.counts.faces, "face")}`;
  }

  /** Draw what can be seen: the other detector waits until it is shown. */
  function draw() {
    if (node.hidden) return;
    if (!opened && record.model === "mtcnn") addSheets(record);
    opened = true;
    if (!drawn) {
      const tell = record.model === "mtcnn" ? mtcnnStories : retinafaceStories;
      stories.replaceChildren(tell(record, view.settings, result, fates, view.point));
      drawn = true;
    }
    const steps = stepsOf(record, view.settings, result, fates, view);
    const step = steps.find(({ id }) => id === view.step) || steps[steps.length - 1];
    const focused = counts.contains(document.activeElement);
    counts.replaceChildren(...steps.map((one) => stepButton(one, one === step)));
    if (focused) counts.querySelector("[aria-selected=true]").focus();
    note.textContent = step.note;
    picture.show(step);
    panel.replaceChildren(...(step.panel ? [step.panel()] : []));
  }

  /** Scroll the row of steps, which is too long for a phone, so that the chosen one is seen. */
  function reveal() {
    if (node.hidden) return;
    const chosen = counts.querySelector("[aria-selected=true]").parentNode;
    counts.scrollLeft = chosen.offsetLeft - counts.offsetLeft - (counts.clientWidth - chosen.offsetWidth) / 2;
  }

  function stepButton(step, selected) {
    return element(
      "li", { role: "presentation" },
      element(
        "button",
        { type: "button", role: "tab", "aria-selected": String(selected), tabindex: selected ? "0" : "-1", "data-step": step.id, onclick: () => set({ step: step.id }) },
        element("span", {}, step.label), element("b", {}, String(step.count)),
      ),
    );
  }
  counts.addEventListener("keydown", (event) => arrowKeys(event, counts.querySelectorAll("button")));

  function showCheck() {
    const initial = replay(record, record.settings).counts;
    const agrees = Object.entries(record.library).every(([name, count]) => initial[name] === count);
    const total = plural(result.counts.faces, "face");
    check.textContent = `${total} at these settings.`;
    check.append(
      agrees ? " This page's rules give the detector's own counts at its own settings." : " Careful: at its own settings the detector has found other counts than this page.",
      result.unsure ? " Two boxes have the very same score here, and which of them goes first changes the count; NumPy's sort leaves that open." : "",
    );
    check.classList.toggle("bad", !agrees);
  }

  return { record, node, tab, sliders, view, set, draw, reveal };
}

/** A face as plain numbers: box and score. */
function faceOf(record, i) {
  const [boxes, scores] = record.model === "mtcnn" ? [record.windows.face_box, record.windows.onet_score] : [record.candidates.box, record.candidates.score];
  return [...boxOf(boxes, i), scores[i]];
}

/** What each step has cost. */
function timing(record) {
  const all = record.seconds.reduce((sum, [, seconds]) => sum + seconds, 0);
  const rows = record.seconds.map(([name, seconds]) =>
    element("tr", {}, element("th", { scope: "row" }, name), element("td", {}, `${(1000 * seconds).toFixed(1)} ms`)),
  );
  const { weights, sha256, backend } = record.recipe;
  return element(
    "details", {},
    element("summary", {}, "Weights and times"),
    element("p", {}, `weights ${weights}, sha256 ${sha256.slice(0, 12)}…, backend ${backend}`),
    element("table", {}, element("tbody", {}, ...rows)),
    element("p", {}, `${(1000 * all).toFixed(1)} ms with everything recorded, which takes longer than detecting.`),
  );
}

/** Arrow keys, Home and End move along a row of tabs. */
function arrowKeys(event, buttons) {
  const all = [...buttons], now = all.indexOf(document.activeElement);
  const steps = { ArrowRight: now + 1, ArrowLeft: now - 1, Home: 0, End: all.length - 1 };
  if (now < 0 || !(event.key in steps)) return;
  event.preventDefault();
  const next = all[(steps[event.key] + all.length) % all.length];
  next.focus();
  next.click();
}

// ---- The page ---------------------------------------------------------------------------------------

const views = [];
let shownModel;

function showModel(model, write = true) {
  shownModel = model;
  for (const { record, node, tab, draw, reveal } of views) {
    node.hidden = record.model !== model;
    draw();
    reveal();
    tab.setAttribute("aria-selected", String(!node.hidden));
    tab.tabIndex = node.hidden ? -1 : 0;
  }
  if (write) writeAddress();
}

/** The address keeps the settings, so that it can be sent to somebody or opened from a script. */
function writeAddress() {
  const parts = new URLSearchParams({ model: shownModel });
  for (const { record, sliders, view } of views) {
    if (record.model === shownModel) parts.set("step", view.step);
    for (const [key, , , , , read] of sliders) {
      const value = read(view.settings);
      if (value !== read(record.settings)) parts.set(`${record.model}.${key}`, value);
    }
  }
  history.replaceState(null, "", `#${parts}`);
}

function readAddress() {
  const parts = new URLSearchParams(location.hash.slice(1));
  const known = views.some(({ record }) => record.model === parts.get("model"));
  const model = known ? parts.get("model") : views[0].record.model;
  for (const { record, sliders, set, view } of views) {
    let settings = structuredClone(record.settings);
    for (const [key, , from, to, , , write] of sliders) {
      const value = Number(parts.get(`${record.model}.${key}`) ?? NaN);
      if (value >= from && value <= to) settings = write(settings, value);
    }
    set({ settings, step: (record.model === model && parts.get("step")) || view.step }, true);
  }
  showModel(model, false);
}

function start() {
  document.getElementById("name").textContent = DATA.name;
  document.head.append(element("style", {}, `.photo-sheet { background-image: url("${DATA.photo}"); }`));
  document.getElementById("summary").textContent = `${DATA.width} × ${DATA.height} pixels`;
  const tabs = document.getElementById("tabs");
  for (const record of DATA.models) {
    const made = makeView(record);
    views.push(made);
    document.getElementById("models").append(made.node);
    tabs.append(made.tab);
  }
  tabs.hidden = DATA.models.length < 2;
  tabs.addEventListener("keydown", (event) => arrowKeys(event, tabs.querySelectorAll("button")));
  readAddress();
  window.addEventListener("hashchange", readAddress);
  document.body.dataset.ready = performance.now().toFixed(0); // milliseconds since the page was asked for
}

start();
