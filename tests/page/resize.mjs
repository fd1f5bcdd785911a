// Prints what pixels.js makes of a picture, as JSON.
// node resize.mjs PIXELS.JS, with {width, height, data, jobs} on standard input

import { readFileSync } from "node:fs";

const { grey, image, reduce, resize } = await import(process.argv[2]);
const { width, height, data, jobs } = JSON.parse(readFileSync(0, "utf8"));
const picture = image(width, height, 3, Uint8ClampedArray.from(data));
const does = {
  grey: () => grey(picture),
  reduce: (factor) => reduce(picture, factor),
  resize: (size, box) => resize(picture, ...size, box),
};
const made = jobs.map(([name, ...given]) => does[name](...given));
console.log(JSON.stringify(made.map((part) => Array.from(part.data))));
