// The detector and the network, run by onnxruntime in this page.

import * as ort from "./ort.wasm.min.mjs";
import { find } from "./faces.js";
import { cut, grey, resize } from "./pixels.js";

ort.env.wasm.wasmPaths = new URL("./", import.meta.url).href;
ort.env.wasm.numThreads = 1; // More need headers that few hosts send.

// Loads all that the page ever asks its host for.
export async function load() {
  const about = await (await fetch("about.json")).json();
  const detector = await ort.InferenceSession.create("detector.onnx");
  const network = await ort.InferenceSession.create("network.onnx");

  async function detect(pixels) {
    const tensor = new ort.Tensor("float32", pixels, [1, 192, 192, 3]);
    const outputs = await detector.run({ [detector.inputNames[0]]: tensor });
    const [a, b] = Object.values(outputs);
    const [raw, logits] = a.dims.at(-1) > b.dims.at(-1) ? [a, b] : [b, a];
    return { raw: raw.data, logits: logits.data };
  }

  async function classify(picture, square) {
    const [height, width, channels] = about.image_shape;
    const part = cut(picture, square);
    const face = resize(channels === 1 ? grey(part) : part, width, height);
    const shape = [1, height, width, channels];
    const tensor = new ort.Tensor("uint8", new Uint8Array(face.data), shape);
    const { probabilities } = await network.run({ faces: tensor });
    return Array.from(probabilities.data);
  }

  // Returns the faces of a picture, and the milliseconds that each part took.
  async function read(picture, passes) {
    const start = performance.now();
    const faces = await find(picture, detect, passes);
    const found = performance.now();
    for (const face of faces) {
      face.probabilities = await classify(picture, face.square);
    }
    const end = performance.now();
    return { faces, detection: found - start, network: end - found };
  }

  // The first run of each is slower.
  await detect(new Float32Array(192 * 192 * 3));
  const blank = { width: 8, height: 8, channels: 3 };
  blank.data = new Uint8ClampedArray(8 * 8 * 3);
  await classify(blank, [0, 0, 8, 8]);
  return { about, read };
}
