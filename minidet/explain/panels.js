// What stands below the photograph: pyramid, feature maps, crops, and the story of every candidate.

const MOST_CROPS = 240; // of one kind are shown at a time
const MOST_LOST = 30; // groups that were lost

const boxOf = (numbers, i) => Array.from(numbers.subarray(4 * i, 4 * i + 4));
const pointsOf = (numbers, i) => [0, 1, 2, 3, 4].map((k) => [numbers[10 * i + 2 * k], numbers[10 * i + 2 * k + 1]]);
const score = (value) => value.toFixed(4);
const corners = (box) => box.map((edge) => edge.toFixed(1)).join(" ");
const size = (box) => `${(box[2] - box[0]).toFixed(0)} × ${(box[3] - box[1]).toFixed(0)}`;
const plural = (n, one, many = `${one}s`) => `${n} ${n === 1 ? one : many}`;

// ---- MTCNN ------------------------------------------------------------------------------------------

/** The levels of the pyramid, each with its heat map. `choose(k)` lays one over the photograph. */
function pyramidPanel(record, counts, chosen, choose) {
  const cards = record.levels.map((level, k) =>
    element(
      "button",
      { class: "card", type: "button", "aria-pressed": String(k === chosen), onclick: () => choose(k) },
      element(
        "span", { class: "pair" },
        element("img", { src: level.picture, alt: "", loading: "lazy" }),
        element("img", { src: level.heat, alt: "", class: "pixels", loading: "lazy" }),
      ),
      element("strong", {}, `Level ${k}`),
      element("span", {}, `scale ${level.scale.toFixed(3)}: ${level.size.join(" × ")} pixels, faces of ${(12 / level.scale).toFixed(0)}`),
      element("span", {}, `${level.cells.join(" × ")} cells, highest score ${level.highest.toFixed(3)}`),
      element("span", {}, `${plural(counts.per_level[k], "window")} left after its NMS`),
    ),
  );
  return element(
    "section", {},
    element("h3", {}, "The pyramid, and what P-Net says to every window"),
    element("p", {}, "Each level is the photograph made smaller, because P-Net knows faces of 12 pixels only. Bright cells score high. Press a level to lay its heat map over the photograph."),
    element("div", { class: "cards" }, ...cards),
  );
}

/** The crops that R-Net or O-Net saw, best first. */
function cropPanel(record, network, rows, passes, point) {
  const t = record.windows, name = network === "rnet" ? "R-Net" : "O-Net";
  const scores = t[`${network}_score`];
  const best = [...rows].sort((a, b) => scores[b] - scores[a]);
  const crop = (i) =>
    element(
      "button",
      {
        type: "button", class: passes.has(i) ? "crop kept" : "crop rejected", onclick: () => point(i),
        "aria-label": `window ${i}, ${name} score ${score(scores[i])}, ${passes.has(i) ? "passed" : "rejected"}`,
      },
      cropImage(record, network, i),
      element("span", {}, scores[i].toFixed(3)),
    );
  return element(
    "section", {},
    element("h3", {}, `What ${name} saw, and its scores`),
    element("p", {}, `${plural(best.length, "crop")} of ${network === "rnet" ? "24 × 24" : "48 × 48"} pixels, best first; ${passes.size} passed.` +
      (best.length > MOST_CROPS ? ` The first ${MOST_CROPS} are shown.` : "")),
    element("div", { class: "crops" }, ...best.slice(0, MOST_CROPS).map(crop)),
  );
}

/** One crop, cut out of its sheet; a blank one if it was not recorded. */
function cropImage(record, network, i) {
  const place = record.windows[`${network}_crop`][i];
  const side = 48;
  const image = element("span", { class: `crop-image ${network}-sheet` });
  if (place < 0) image.classList.add("blank");
  else {
    const columns = record.crops_per_row;
    image.style.backgroundPosition = `${-(place % columns) * side}px ${-Math.floor(place / columns) * side}px`;
  }
  return image;
}

/** A piece of the photograph around a box, as a square. */
function photoImage(box) {
  const side = 48, longest = 1.3 * Math.max(box[2] - box[0], box[3] - box[1], 1), scale = side / longest;
  const left = (box[0] + box[2] - longest) / 2, top = (box[1] + box[3] - longest) / 2;
  const image = element("span", { class: "crop-image photo-sheet" });
  image.style.backgroundSize = `${DATA.width * scale}px ${DATA.height * scale}px`;
  image.style.backgroundPosition = `${-left * scale}px ${-top * scale}px`;
  return image;
}

/** Make the sheets known to the style, so that a hundred crops do not copy them a hundred times. */
function addSheets(record) {
  const rules = ["rnet", "onet"].map(
    (network) =>
      `.${network}-sheet { background-image: url("${record.windows[`${network}_sheet`]}"); background-size: ${48 * record.crops_per_row}px auto; }`,
  );
  document.head.append(element("style", {}, rules.join("\n")));
}

/** All that is known of one window, as lines. */
function describeWindow(record, settings, fates, i) {
  const t = record.windows, fate = fates[i];
  const level = record.levels[t.level[i]];
  const lines = [
    `Window ${i}: ${mtcnnFate(settings, t, fate, i)}`,
    `level ${t.level[i]}, scale ${level.scale.toFixed(3)}`,
    `P-Net ${score(t.pnet_score[i])}  box ${corners(boxOf(t.box, i))}`,
  ];
  if (t.rnet_score[i] >= 0) lines.push(`R-Net ${score(t.rnet_score[i])}  saw ${corners(boxOf(t.rnet_box, i))}`);
  if (t.onet_score[i] >= 0) {
    lines.push(`O-Net ${score(t.onet_score[i])}  saw ${corners(boxOf(t.onet_box, i))}`);
    lines.push(`box ${corners(boxOf(t.face_box, i))}  (${size(boxOf(t.face_box, i))})`);
  }
  return lines;
}

function mtcnnFate(settings, t, fate, i) {
  const [proposeAt, refineAt, outputAt] = settings.score_thresholds;
  const by = (limit, where) => `dropped ${where} by window ${fate.by} (overlap ${fate.share.toFixed(3)} > ${limit})`;
  switch (fate.stage) {
    case "pnet": return `lost at P-Net: ${score(t.pnet_score[i])} < ${proposeAt}`;
    case "within": return by(settings.nms_within_level, "within its level");
    case "across": return by(settings.nms_across_levels, "across levels");
    case "rnet": return `lost at R-Net: ${score(t.rnet_score[i])} ≤ ${refineAt}`;
    case "refine": return by(settings.nms_refined, "after R-Net");
    case "onet": return `lost at O-Net: ${score(t.onet_score[i])} ≤ ${outputAt}`;
    case "final": return by(settings.nms_final, "after O-Net");
    case "border": return "lost: no pixel of its box is in the image";
    default: return "a face";
  }
}

/** Every face and every group of lost windows. */
function mtcnnStories(record, settings, result, fates, point) {
  const t = record.windows;
  const reached = { pnet: 0, within: 1, across: 2, border: 2, rnet: 3, refine: 4, onet: 5, final: 6, face: 7 };
  const last = (i) => {
    const far = reached[fates[i].stage];
    return far >= 5 ? [t.onet_score, t.face_box] : far >= 3 ? [t.rnet_score, t.rnet_box] : [t.pnet_score, t.box];
  };
  const rank = (i) => 2 * reached[fates[i].stage] + last(i)[0][i];
  const box = (i) => boxOf(last(i)[1], i);
  const groups = groupFates(fates, rank, box);
  const story = ({ leader: i, members, stage }, number) => {
    const path = [`level ${t.level[i]} (scale ${record.levels[t.level[i]].scale.toFixed(3)})`, `P-Net ${score(t.pnet_score[i])}`];
    if (reached[stage] >= 3) path.push(`R-Net ${score(t.rnet_score[i])}`);
    if (reached[stage] >= 5) path.push(`O-Net ${score(t.onet_score[i])}`);
    const ends = {};
    for (const member of members) if (member !== i) ends[fates[member].stage] = (ends[fates[member].stage] || 0) + 1;
    const names = {
      pnet: "lost at P-Net", within: "dropped within levels", across: "dropped across levels", border: "outside",
      rnet: "lost at R-Net", refine: "dropped after R-Net", onet: "lost at O-Net", final: "dropped after O-Net",
    };
    const others = Object.entries(ends).map(([end, n]) => `${n} ${names[end]}`).join(", ");
    return {
      face: stage === "face",
      title: stage === "face" ? `Face ${number + 1}, ${size(box(i))} pixels` : mtcnnFate(settings, t, fates[i], i),
      lines: [path.join(" → "), members.length > 1 ? `with it ${plural(members.length - 1, "other window")}: ${others}` : "no other window here"],
      image: cropImage(record, t.onet_crop[i] >= 0 ? "onet" : "rnet", i),
      press: () => point(i),
    };
  };
  return storyPanel(groups, story, `windows that P-Net scored at least ${record.floors[0]}`);
}

// ---- RetinaFace -------------------------------------------------------------------------------------

/** The maps inside the network. `choose(picture)` lays one over the photograph. */
function featurePanel(record, chosen, choose) {
  const meaning = { c: "backbone", p: "pyramid", context: "context module" };
  const map = (name, picture, label, pixelShape) =>
    element(
      "button",
      { class: "card map-card", type: "button", "aria-pressed": String(chosen === name), onclick: () => choose(name, picture) },
      element("img", { src: picture, alt: "", class: "pixels", loading: "lazy", style: `aspect-ratio: ${pixelShape}` }),
      element("span", {}, label),
    );
  const rows = record.features.map((feature) => {
    const [channels, h, w] = feature.shape;
    const kind = meaning[feature.name.replace(/\d/, "")];
    return element(
      "details", { open: feature.name.startsWith("context") },
      element("summary", {}, element("strong", {}, feature.name), ` ${kind}: ${channels} channels of ${w} × ${h}, stride ${2 ** Number(feature.name.slice(-1))}`),
      element(
        "div", { class: "cards maps" },
        map(feature.name, feature.mean, `mean |activation|, ${feature.low.toFixed(2)} to ${feature.high.toFixed(2)}`, `${w} / ${h}`),
        ...feature.channels.map(({ channel, picture }) => map(`${feature.name}.${channel}`, picture, `channel ${channel}`, `${w} / ${h}`)),
      ),
    );
  });
  return element(
    "section", {},
    element("h3", {}, "The maps inside the network"),
    element("p", {}, "Of each map the mean size of its numbers, and the channels that vary most, each from its lowest (dark) to its highest number (bright). Press one to lay it over the photograph."),
    ...rows,
  );
}

/** How many anchors fired on each level. */
function anchorPanel(record, result) {
  const rows = record.levels.map((level, k) => {
    const here = result.candidates.filter((i) => record.candidates.level[i] === k).length;
    const faces = result.faces.filter((i) => record.candidates.level[i] === k).length;
    return element(
      "tr", {},
      element("th", { scope: "row" }, element("span", { class: `swatch level${k}` }), ` stride ${level.stride}`),
      ...[level.sizes.map((side) => side.toFixed(0)).join(", "), level.anchors, here, faces].map((value) => element("td", {}, String(value))),
    );
  });
  const head = ["level", "anchor sizes", "anchors", "fired", "faces"].map((name) => element("th", { scope: "col" }, name));
  return element(
    "section", {},
    element("h3", {}, "Which anchors fired"),
    element("table", {}, element("thead", {}, element("tr", {}, ...head)), element("tbody", {}, ...rows)),
  );
}

/** All that is known of one candidate, as lines. */
function describeCandidate(record, settings, fates, i) {
  const c = record.candidates, anchor = boxOf(c.anchor, i), box = boxOf(c.box, i);
  return [
    `Candidate ${i}: ${retinafaceFate(settings, c, fates[i], i)}`,
    `score ${score(c.score[i])}`,
    `box ${corners(box)}  (${size(box)})`,
    `from the anchor ${corners(anchor)}`,
    `level of stride ${record.levels[c.level[i]].stride}`,
  ];
}

function retinafaceFate(settings, c, fate, i) {
  switch (fate.stage) {
    case "score": return `lost by its score: ${score(c.score[i])} ≤ ${settings.score_threshold}`;
    case "nms": return `dropped by candidate ${fate.by} (IoU ${fate.share.toFixed(3)} > ${settings.iou_threshold})`;
    case "small": return `left out: smaller than ${settings.min_face} pixels`;
    case "limit": return "left out: there are better ones, and only so many are looked at";
    default: return "a face";
  }
}

/** Every face and every group of lost candidates. */
function retinafaceStories(record, settings, result, fates, point) {
  const c = record.candidates;
  const groups = groupFates(fates, (i) => c.score[i], (i) => boxOf(c.box, i));
  const story = ({ leader: i, members, stage }, number) => {
    const dropped = members.filter((k) => fates[k].stage === "nms").length;
    const weak = members.filter((k) => k !== i && fates[k].stage === "score").length;
    const anchor = boxOf(c.anchor, i);
    return {
      face: stage === "face",
      title: stage === "face" ? `Face ${number + 1}, ${size(boxOf(c.box, i))} pixels` : retinafaceFate(settings, c, fates[i], i),
      lines: [
        `score ${score(c.score[i])} from an anchor of ${(anchor[2] - anchor[0]).toFixed(0)} on the level of stride ${record.levels[c.level[i]].stride}`,
        `${plural(dropped, "other candidate")} dropped by the NMS, ${weak} below the threshold`,
      ],
      image: photoImage(boxOf(c.box, i)),
      press: () => point(i),
    };
  };
  return storyPanel(groups, story, `anchors that scored above ${record.floor}`);
}

/** The edges of a candidate's mesh, of those triangles that face the viewer: minidet.image.draw_mesh. */
function meshPath(mesh, i) {
  const start = 2 * mesh.vertex_count * mesh.candidates.indexOf(i);
  const point = (v) => [mesh.vertices[start + 2 * v], mesh.vertices[start + 2 * v + 1]];
  let path = "";
  for (const triangle of mesh.triangles) {
    const [[ax, ay], [bx, by], [cx, cy]] = triangle.map(point);
    const area = (bx - ax) * (cy - ay) - (cx - ax) * (by - ay);
    if (area > 0) path += `M${[ax, ay, bx, by, cx, cy].map((value) => value.toFixed(2)).join(" ")}Z`;
  }
  return path;
}

// ---- Both -------------------------------------------------------------------------------------------

function storyPanel(groups, story, of) {
  const faces = groups.filter((group) => group.stage === "face"), lost = groups.filter((group) => group.stage !== "face");
  const card = (group, number) => {
    const { face, title, lines, image, press } = story(group, number);
    return element(
      "button", { type: "button", class: `story ${face ? "kept" : "rejected"}`, onclick: press },
      image,
      element("span", { class: "text" }, element("strong", {}, title), ...lines.map((line) => element("span", {}, line))),
    );
  };
  return element(
    "section", {},
    element("h3", {}, `Found: ${plural(faces.length, "face")}`),
    element("div", { class: "stories" }, ...faces.map(card)),
    element("h3", {}, `Lost: ${plural(lost.length, "group")} of candidates`),
    element("p", {}, `Groups of ${of} that became no face, the furthest first` + (lost.length > MOST_LOST ? `; the first ${MOST_LOST} are shown.` : ".")),
    element("div", { class: "stories" }, ...lost.slice(0, MOST_LOST).map(card)),
  );
}
