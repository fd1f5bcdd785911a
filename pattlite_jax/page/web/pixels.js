// Pixels as Pillow computes them, to the bit: what the networks were trained
// and measured with. A canvas would resize in another way.

const PRECISION = 2 ** 22; // Pillow's PRECISION_BITS for 8 bits a channel.

// An image is {width, height, channels, data}, bytes row by row.
export function image(width, height, channels, data) {
  data ??= new Uint8ClampedArray(width * height * channels);
  return { width, height, channels, data };
}

// Rounds as Python does: halves to the even number.
export function round(x) {
  const low = Math.floor(x);
  if (x - low !== 0.5) return Math.round(x);
  return low % 2 === 0 ? low : low + 1;
}

export function fromCanvas({ width, height, data }) {
  const rgb = image(width, height, 3);
  for (let i = 0, j = 0; i < data.length; i += 4) {
    rgb.data[j++] = data[i];
    rgb.data[j++] = data[i + 1];
    rgb.data[j++] = data[i + 2];
  }
  return rgb;
}

// Pillow's convert("L").
export function grey({ width, height, data }) {
  const made = image(width, height, 1);
  for (let i = 0, j = 0; j < made.data.length; i += 3, j++) {
    const sum = data[i] * 19595 + data[i + 1] * 38470 + data[i + 2] * 7471;
    made.data[j] = (sum + 0x8000) >> 16;
  }
  return made;
}

// What each output pixel of an axis takes: from input pixel `first` on, as many
// as `count` has, by their weights, `most` places apart in `values`.
function weights(inSize, from, to, outSize) {
  const start = Math.fround(from); // Pillow keeps boxes in 32 bits.
  const scale = Math.fround(Math.fround(to) - start) / outSize;
  const support = Math.max(scale, 1);
  const most = 2 * Math.ceil(support) + 1;
  const first = new Int32Array(outSize);
  const count = new Int32Array(outSize);
  const values = new Float64Array(outSize * most);
  for (let out = 0; out < outSize; out++) {
    const centre = start + (out + 0.5) * scale;
    const low = Math.max(Math.trunc(centre - support + 0.5), 0);
    const high = Math.min(Math.trunc(centre + support + 0.5), inSize);
    let sum = 0;
    for (let i = low; i < high; i++) {
      const weight = Math.max(1 - Math.abs((i - centre + 0.5) / support), 0);
      values[out * most + i - low] = weight;
      sum += weight;
    }
    for (let k = out * most; k < out * most + high - low; k++) {
      values[k] = Math.trunc(0.5 + (values[k] / sum) * PRECISION);
    }
    first[out] = low;
    count[out] = high - low;
  }
  return { size: outSize, most, first, count, values };
}

// Resizes the rows from `top` to `bottom`, and leaves the others black.
function resizeRows(source, { size, most, first, count, values }, top, bottom) {
  const { width, height, channels, data } = source;
  const made = image(size, height, channels);
  let to = top * size * channels;
  for (let y = top; y < bottom; y++) {
    for (let out = 0; out < size; out++) {
      const start = (y * width + first[out]) * channels;
      const weight = out * most;
      const taps = count[out];
      for (let c = 0; c < channels; c++) {
        let sum = PRECISION / 2;
        let from = start + c;
        for (let k = 0; k < taps; k++) {
          sum += values[weight + k] * data[from];
          from += channels;
        }
        made.data[to++] = Math.floor(sum / PRECISION);
      }
    }
  }
  return made;
}

function resizeColumns(source, { size, most, first, count, values }) {
  const { width, channels, data } = source;
  const line = width * channels;
  const made = image(width, size, channels);
  const sums = new Float64Array(line);
  for (let out = 0; out < size; out++) {
    sums.fill(PRECISION / 2);
    for (let k = 0; k < count[out]; k++) {
      const weight = values[out * most + k];
      const from = (first[out] + k) * line;
      for (let x = 0; x < line; x++) sums[x] += weight * data[from + x];
    }
    const to = out * line;
    for (let x = 0; x < line; x++) {
      made.data[to + x] = Math.floor(sums[x] / PRECISION);
    }
  }
  return made;
}

// Pillow's resize((width, height), BILINEAR, box=[left, top, right, bottom]),
// which averages where it makes smaller.
export function resize(source, width, height, box) {
  const [left, top, right, bottom] = box ?? [
    0, 0, source.width, source.height,
  ];
  const sameRows =
    width === source.width && left === 0 && right === source.width;
  const sameColumns =
    height === source.height && top === 0 && bottom === source.height;
  const columns = weights(source.height, top, bottom, height);
  const last = height - 1;
  let made = source;
  if (!sameRows) {
    const rows = weights(source.width, left, right, width);
    const end = columns.first[last] + columns.count[last];
    made = sameColumns
      ? resizeRows(made, rows, 0, source.height)
      : resizeRows(made, rows, columns.first[0], end);
  }
  if (!sameColumns) made = resizeColumns(made, columns);
  return made;
}

// Pillow's reduce(factor): means of squares, of what there is at the edges.
export function reduce(source, factor) {
  if (factor === 1) return source;
  const { channels, data } = source;
  const made = image(
    Math.ceil(source.width / factor),
    Math.ceil(source.height / factor),
    channels,
  );
  let to = 0;
  for (let top = 0; top < source.height; top += factor) {
    const bottom = Math.min(top + factor, source.height);
    for (let left = 0; left < source.width; left += factor) {
      const right = Math.min(left + factor, source.width);
      const count = (bottom - top) * (right - left);
      const multiplier = Math.floor(2 ** 24 / count);
      for (let c = 0; c < channels; c++) {
        let sum = Math.floor(count / 2);
        for (let y = top; y < bottom; y++) {
          for (let x = left; x < right; x++) {
            sum += data[(y * source.width + x) * channels + c];
          }
        }
        made.data[to++] = Math.floor((sum * multiplier) / 2 ** 24);
      }
    }
  }
  return made;
}

// A square [left, top, right, bottom]; over the edge, its last pixels repeat.
export function cut(source, [left, top, right, bottom]) {
  const { width, height, channels, data } = source;
  const made = image(right - left, bottom - top, channels);
  const within = (x, size) => Math.min(Math.max(x, 0), size - 1);
  let to = 0;
  for (let y = top; y < bottom; y++) {
    for (let x = left; x < right; x++) {
      const from = (within(y, height) * width + within(x, width)) * channels;
      for (let c = 0; c < channels; c++) made.data[to++] = data[from + c];
    }
  }
  return made;
}
