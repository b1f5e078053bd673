"use strict";
// What the detectors do after their networks, with the same arithmetic: every result is rounded to float32 as
// NumPy rounds it, so the boxes that are left are the library's at any setting.

const f32 = Math.fround;

/** Turn base64 into the float32 numbers it stands for. */
function floats(text) {
  const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  const view = new DataView(bytes.buffer);
  return Float32Array.from({ length: bytes.length / 4 }, (_, i) => view.getFloat32(4 * i, true));
}

/** The share of two boxes' area: of both together ("union"), or of the smaller one ("min").
 *  `more` is what x2 and y2 are enlarged by: 1 where both corner pixels count. */
function overlap(boxes, i, j, kind, more) {
  const x1 = Math.max(boxes[4 * i], boxes[4 * j]);
  const y1 = Math.max(boxes[4 * i + 1], boxes[4 * j + 1]);
  const right = (k) => f32(boxes[4 * k + 2] + more);
  const bottom = (k) => f32(boxes[4 * k + 3] + more);
  const width = f32(Math.min(right(i), right(j)) - x1);
  const height = f32(Math.min(bottom(i), bottom(j)) - y1);
  if (width <= 0 || height <= 0) return 0;
  const area = (k) => f32(f32(right(k) - boxes[4 * k]) * f32(bottom(k) - boxes[4 * k + 1]));
  const shared = f32(width * height);
  const whole = kind === "min" ? Math.min(area(i), area(j)) : f32(f32(area(i) + area(j)) - shared);
  return f32(shared / whole);
}

/** Keep the best box, drop those that overlap it by more than the threshold, go on with the best of the rest.
 *  minidet.boxes.nms: of equal scores the earlier row of `rows` comes first.
 *
 *  Returns `kept`, best first, and `dropped`: row -> {by: the box that dropped it, share}. */
function nms(rows, boxes, scores, threshold, { kind = "union", more = 0 } = {}) {
  const order = [...rows].sort((a, b) => scores[b] - scores[a]); // stable
  const limit = f32(threshold);
  const kept = [];
  const dropped = new Map();
  for (let a = 0; a < order.length; a++) {
    const i = order[a];
    if (dropped.has(i)) continue;
    kept.push(i);
    for (let b = a + 1; b < order.length; b++) {
      const j = order[b];
      if (dropped.has(j)) continue;
      const share = overlap(boxes, i, j, kind, more);
      if (share > limit) dropped.set(j, { by: i, share });
    }
  }
  return { kept, dropped };
}

/** The last suppression of both detectors: both corner pixels count, and of equal scores the later row comes
 *  first. The library leaves equal scores to NumPy's sort, which promises no order; `unsure` tells whether the
 *  other order would leave another number of boxes. */
function inclusiveNms(rows, boxes, scores, threshold, kind) {
  const options = { kind, more: 1 };
  const found = nms([...rows].reverse(), boxes, scores, threshold, options);
  const tied = new Set(rows.map((i) => scores[i])).size < rows.length;
  const other = tied ? nms(rows, boxes, scores, threshold, options) : found;
  return { ...found, unsure: other.kept.length !== found.kept.length };
}

/** RetinaFace: which candidates pass, which are left after the suppression.
 *  `settings`: score_threshold, iou_threshold, max_candidates, max_faces, min_face. */
function replayRetinaFace(record, settings) {
  const { score, box } = record.candidates; // best first
  const limit = f32(settings.score_threshold);
  const passed = [];
  for (let i = 0; i < score.length && score[i] > limit; i++) passed.push(i);
  const candidates = passed.slice(0, settings.max_candidates);
  const { kept, dropped, unsure } = inclusiveNms(candidates, box, score, settings.iou_threshold, "union");
  const reported = kept.slice(0, settings.max_faces);
  const side = (i) => Math.max(f32(box[4 * i + 2] - box[4 * i]), f32(box[4 * i + 3] - box[4 * i + 1]));
  const faces = reported.filter((i) => side(i) >= f32(settings.min_face));
  const counts = { candidates: candidates.length, kept: reported.length, faces: faces.length };
  return { candidates, kept: reported, dropped, faces, unsure, counts };
}

/** MTCNN: which windows are left after each step.
 *  `settings`: score_thresholds (3), nms_within_level, nms_across_levels, nms_refined, nms_final. */
function replayMtcnn(record, settings) {
  const t = record.windows;
  const [proposeAt, refineAt, outputAt] = settings.score_thresholds;
  // The compiled P-Net compares with the threshold as it is, NumPy with the threshold in float32.
  const least = record.recipe.backend === "fast" ? proposeAt : f32(proposeAt);

  const perLevel = record.levels.map(() => []);
  t.level.forEach((level, i) => {
    if (t.pnet_score[i] >= least) perLevel[level].push(i);
  });
  const within = perLevel.map((rows) => nms(rows, t.box, t.pnet_score, settings.nms_within_level));
  const windows = perLevel.flat();
  const proposed = within.flatMap((level) => level.kept);
  const across = nms(proposed, t.box, t.pnet_score, settings.nms_across_levels);
  const merged = across.kept;

  const seenByRnet = merged.filter((i) => t.rnet_score[i] >= 0);
  const passedRnet = seenByRnet.filter((i) => t.rnet_score[i] > f32(refineAt));
  const refine = nms(passedRnet, t.rnet_box, t.rnet_score, settings.nms_refined);
  const refined = refine.kept;

  const seenByOnet = refined.filter((i) => t.onet_score[i] >= 0);
  const passedOnet = seenByOnet.filter((i) => t.onet_score[i] > f32(outputAt));
  const final = inclusiveNms(passedOnet, t.face_box, t.onet_score, settings.nms_final, "min");
  const faces = final.kept;

  return {
    windows, proposed, merged, seenByRnet, passedRnet, refined, seenByOnet, passedOnet, faces,
    dropped: {
      within: new Map(within.flatMap((level) => [...level.dropped])),
      across: across.dropped,
      refine: refine.dropped,
      final: final.dropped,
    },
    unsure: final.unsure,
    counts: {
      windows: windows.length,
      proposed: proposed.length,
      per_level: within.map((level) => level.kept.length),
      merged: merged.length,
      rnet: seenByRnet.length,
      passed_rnet: passedRnet.length,
      refined: refined.length,
      onet: seenByOnet.length,
      passed_onet: passedOnet.length,
      faces: faces.length,
    },
  };
}

/** Turn the base64 of a record into numbers, once. */
function unpack(record) {
  const table = record.windows || record.candidates;
  for (const [name, value] of Object.entries(table)) {
    if (typeof value === "string" && !name.endsWith("_sheet")) table[name] = floats(value);
  }
  if (record.mesh && typeof record.mesh.vertices === "string") record.mesh.vertices = floats(record.mesh.vertices);
  return record;
}

/** Apply the rules of the record's detector. */
function replay(record, settings) {
  return record.model === "mtcnn" ? replayMtcnn(record, settings) : replayRetinaFace(record, settings);
}
