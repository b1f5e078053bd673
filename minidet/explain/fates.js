// Where each face was found, and where each other candidate was lost.

/** Tell how far every window of MTCNN came: {stage, by, share}; `by` is the window that suppressed it. */
function mtcnnFates(record, result) {
  const t = record.windows;
  const has = Object.fromEntries(
    ["windows", "seenByRnet", "passedRnet", "seenByOnet", "passedOnet"].map((step) => [step, new Set(result[step])]),
  );
  const faces = new Set(result.faces);
  return t.level.map((_, i) => {
    for (const [name, map] of Object.entries(result.dropped)) {
      if (map.has(i)) return { stage: name, ...map.get(i) };
    }
    if (!has.windows.has(i)) return { stage: "pnet" };
    if (!has.seenByRnet.has(i)) return { stage: "border" };
    if (!has.passedRnet.has(i)) return { stage: "rnet" };
    if (!has.seenByOnet.has(i)) return { stage: "border" };
    if (!has.passedOnet.has(i)) return { stage: "onet" };
    return { stage: faces.has(i) ? "face" : "onet" };
  });
}

/** The same of every candidate of RetinaFace. */
function retinafaceFates(record, result) {
  const inNms = new Set(result.candidates), faces = new Set(result.faces), kept = new Set(result.kept);
  return Array.from(record.candidates.score, (_, i) => {
    if (result.dropped.has(i)) return { stage: "nms", ...result.dropped.get(i) };
    if (faces.has(i)) return { stage: "face" };
    if (kept.has(i)) return { stage: "small" };
    return { stage: inNms.has(i) || i < result.candidates.length ? "limit" : "score" };
  });
}

/** Collect candidates that speak of the same thing: those that one suppressed belong to it, and what is lost by
 *  its score belongs to a face or to a stronger loser that it overlaps.
 *
 *  `rank(i)`: how far it came, then how well it scored, as one number. `box(i)`: its last box, as an array.
 *  Returns [{leader, members, stage}], faces first, then by rank. */
function groupFates(fates, rank, box) {
  const leaderOf = (i) => {
    while (fates[i].by !== undefined) i = fates[i].by;
    return i;
  };
  const groups = new Map();
  fates.forEach((_, i) => {
    const leader = leaderOf(i);
    if (!groups.has(leader)) groups.set(leader, { leader, members: [], stage: fates[leader].stage });
    groups.get(leader).members.push(i);
  });
  const byRank = [...groups.values()].sort(
    (a, b) => (b.stage === "face") - (a.stage === "face") || rank(b.leader) - rank(a.leader),
  );
  const apart = [];
  for (const group of byRank) {
    const own = box(group.leader);
    const same = group.stage === "face" ? undefined : apart.find((other) => belongsTo(box(other.leader), own));
    if (same) same.members.push(...group.members);
    else apart.push(group);
  }
  return apart;
}

/** Whether a box means the same thing as a stronger one: it overlaps it well, or lies in it for the most part. */
function belongsTo(stronger, own) {
  const width = Math.min(stronger[2], own[2]) - Math.max(stronger[0], own[0]);
  const height = Math.min(stronger[3], own[3]) - Math.max(stronger[1], own[1]);
  if (width <= 0 || height <= 0) return false;
  const area = (box) => (box[2] - box[0]) * (box[3] - box[1]);
  const shared = width * height;
  return shared / (area(stronger) + area(own) - shared) > 0.2 || shared / area(own) > 0.6;
}
