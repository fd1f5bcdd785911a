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

// What each output pixel of an axis takes: [first input pixel, weights].
function weights(inSize, from, to, outSize) {
  const start = Math.fround(from); // Pillow keeps boxes in 32 bits.
  const scale = Math.fround(Math.fround(to) - start) / outSize;
  const support = Math.max(scale, 1);
  const taps = [];
  for (let out = 0; out < outSize; out++) {
    const centre = start + (out + 0.5) * scale;
    const first = Math.max(Math.trunc(centre - support + 0.5), 0);
    const last = Math.min(Math.trunc(centre + support + 0.5), inSize);
    const row = [];
    for (let i = first; i < last; i++) {
      row.push(Math.max(1 - Math.abs((i - centre + 0.5) / support), 0));
    }
    const sum = row.reduce((a, b) => a + b, 0);
    taps.push([first, row.map((w) => Math.trunc(0.5 + (w / sum) * PRECISION))]);
  }
  return taps;
}

function resizeRows(source, taps) {
  const { width, height, channels, data } = source;
  const made = image(taps.length, height, channels);
  let to = 0;
  for (let y = 0; y < height; y++) {
    for (const [first, row] of taps) {
      for (let c = 0; c < channels; c++) {
        let sum = PRECISION / 2;
        let from = (y * width + first) * channels + c;
        for (const weight of row) {
          sum += weight * data[from];
          from += channels;
        }
        made.data[to++] = Math.floor(sum / PRECISION);
      }
    }
  }
  return made;
}

function resizeColumns(source, taps) {
  const { width, channels, data } = source;
  const line = width * channels;
  const made = image(width, taps.length, channels);
  let to = 0;
  for (const [first, column] of taps) {
    for (let x = 0; x < line; x++) {
      let sum = PRECISION / 2;
      let from = first * line + x;
      for (const weight of column) {
        sum += weight * data[from];
        from += line;
      }
      made.data[to++] = Math.floor(sum / PRECISION);
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
  let made = source;
  if (!sameRows) {
    made = resizeRows(made, weights(source.width, left, right, width));
  }
  if (!sameColumns) {
    made = resizeColumns(made, weights(source.height, top, bottom, height));
  }
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
