// Where the faces of a picture are: BlazeFace, full range, decoded and merged
// as pattlite_jax/predict/detection does.

import { image, reduce, resize, round } from "./pixels.js";

const SIDE = 192;
const GRID = 48;
const UNIT = Math.fround(2 / 255);
const MIN_SCORE = 0.6;
const TILE = 0.6;
const SQUARE = 1.05; // Side of what the network sees, by the box's.

function* regions(width, height, passes) {
  if (passes.includes("whole")) yield [0, 0, width, height];
  if (passes.includes("padded")) {
    yield [-width / 2, -height / 2, width * 1.5, height * 1.5];
  }
  if (!passes.includes("tiles")) return;
  for (const top of [0, (1 - TILE) * height]) {
    for (const left of [0, (1 - TILE) * width]) {
      yield [left, top, left + TILE * width, top + TILE * height];
    }
  }
}

// Lays a region into the middle of a black square, and says where it lies.
function letterbox(picture, [left, top, right, bottom]) {
  const shrink = Math.min(SIDE / (right - left), SIDE / (bottom - top));
  const box = [
    Math.max(left, 0),
    Math.max(top, 0),
    Math.min(right, picture.width),
    Math.min(bottom, picture.height),
  ];
  const width = Math.max(round((box[2] - box[0]) * shrink), 1);
  const height = Math.max(round((box[3] - box[1]) * shrink), 1);
  const scale = [(box[2] - box[0]) / width, (box[3] - box[1]) / height];
  const x = (SIDE - (right - left) * shrink) / 2 + (box[0] - left) * shrink;
  const y = (SIDE - (bottom - top) * shrink) / 2 + (box[1] - top) * shrink;
  const corner = [round(x), round(y)];
  const resized = resize(picture, width, height, box);
  const canvas = image(SIDE, SIDE, 3);
  const columns = Math.min(width, SIDE - corner[0]);
  for (let row = 0; row < Math.min(height, SIDE - corner[1]); row++) {
    const from = row * width * 3;
    const line = resized.data.subarray(from, from + columns * 3);
    canvas.data.set(line, ((corner[1] + row) * SIDE + corner[0]) * 3);
  }
  const offset = [box[0] - corner[0] * scale[0], box[1] - corner[1] * scale[1]];
  return { canvas, scale, offset };
}

function decode(raw, logits) {
  const found = [];
  const lowest = Math.log(MIN_SCORE / (1 - MIN_SCORE));
  for (let i = 0; i < logits.length; i++) {
    if (logits[i] < lowest) continue;
    const [dx, dy, width, height] = raw.subarray(16 * i, 16 * i + 4);
    const x = dx + ((i % GRID) + 0.5) * (SIDE / GRID);
    const y = dy + (Math.floor(i / GRID) + 0.5) * (SIDE / GRID);
    found.push({
      box: [x - width / 2, y - height / 2, x + width / 2, y + height / 2],
      score: 1 / (1 + Math.exp(-logits[i])),
    });
  }
  return found;
}

function area([left, top, right, bottom]) {
  return Math.max(right - left, 0) * Math.max(bottom - top, 0);
}

function shared(a, b) {
  return area([
    Math.max(a[0], b[0]),
    Math.max(a[1], b[1]),
    Math.min(a[2], b[2]),
    Math.min(a[3], b[3]),
  ]);
}

function overlap(a, b) {
  const both = shared(a, b);
  return both / Math.max(area(a) + area(b) - both, 1e-9);
}

// One box of those that overlap: their mean, weighted by score.
function mergeWeighted(found) {
  let left = found.toSorted((a, b) => b.score - a.score);
  const merged = [];
  while (left.length) {
    const first = left[0];
    const isSame = (f) => f === first || overlap(first.box, f.box) > 0.3;
    const same = left.filter(isSame);
    const total = same.reduce((sum, f) => sum + f.score, 0);
    const box = first.box.map(
      (_, k) => same.reduce((sum, f) => sum + f.box[k] * f.score, 0) / total,
    );
    merged.push({ box, score: first.score });
    left = left.filter((f) => !isSame(f));
  }
  return merged;
}

// The likeliest of the boxes of a face, of passes of different scale.
function dropRepeated(found) {
  const kept = [];
  for (const face of found.toSorted((a, b) => b.score - a.score)) {
    const repeats = kept.some((other) => {
      const smaller = Math.min(area(face.box), area(other.box));
      const inside = shared(face.box, other.box) / Math.max(smaller, 1e-9);
      return overlap(face.box, other.box) > 0.3 || inside > 0.7;
    });
    if (!repeats) kept.push(face);
  }
  return kept;
}

// Returns [{box, score, square}] from left to right, in the picture's pixels.
// `detect` takes floats [1, 192, 192, 3] and gives {raw, logits}.
export async function find(picture, detect, passes) {
  const longer = Math.max(picture.width, picture.height);
  const useful = round((2 * SIDE) / TILE);
  const factor = Math.max(Math.floor(longer / useful), 1);
  const small = reduce(picture, factor);
  const all = [];
  for (const region of regions(small.width, small.height, passes)) {
    const { canvas, scale, offset } = letterbox(small, region);
    const input = new Float32Array(canvas.data.length);
    for (let i = 0; i < input.length; i++) {
      input[i] = Math.fround(canvas.data[i] * UNIT) - 1;
    }
    const { raw, logits } = await detect(input);
    for (const face of mergeWeighted(decode(raw, logits))) {
      const box = face.box.map((v, k) => v * scale[k % 2] + offset[k % 2]);
      all.push({ ...face, box });
    }
  }
  return dropRepeated(all)
    .map((face) => ({ ...face, box: face.box.map((v) => v * factor) }))
    .map((face) => ({ ...face, square: square(face.box) }))
    .toSorted((a, b) => a.box[0] - b.box[0]);
}

function square([left, top, right, bottom]) {
  const mean = Math.sqrt((right - left) * (bottom - top));
  const side = Math.max(round(SQUARE * mean), 1);
  const x = round((left + right - side) / 2);
  const y = round((top + bottom - side) / 2);
  return [x, y, x + side, y + side];
}
