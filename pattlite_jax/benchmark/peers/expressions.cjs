// Asks the expression network of an npm package about faces, one at a time.
//
// Usage: node expressions.cjs FOLDER PEER FACES PIXELS OUT
//   FOLDER  where npm has installed the packages
//   PEER    human | face_api
//   FACES   a file of grey faces, uint8, PIXELS x PIXELS each
//   OUT     the JSON to write: class_names, probabilities, milliseconds of each
//           face, version, runtime, bytes and parameters of the weights
//
// Each network has the preprocessing of its package, and runs where the package
// runs it without native code: TensorFlow.js on WebAssembly. A face is what the
// package's own detector would have cut out.
"use strict";

const fs = require("fs");
const { createRequire } = require("module");
const path = require("path");

const WARM_UP = 5;

// After src/gear/emotion.ts of @vladmandic/human.
async function human(tf, folder) {
  const description = JSON.parse(
    fs.readFileSync(path.join(folder, "models/emotion.json"), "utf8"),
  );
  const weights = fs.readFileSync(path.join(folder, "models/emotion.bin"));
  const model = await tf.loadGraphModel(
    tf.io.fromMemory({
      modelTopology: description.modelTopology,
      weightSpecs: description.weightsManifest[0].weights,
      weightData: new Uint8Array(weights).buffer,
    }),
  );
  const [, size] = model.inputs[0].shape;
  const weighted = tf.tensor1d([0.2989, 0.587, 0.114]);
  return {
    class_names: [
      "angry", "disgust", "fear", "happy", "sad", "surprise", "neutral",
    ],
    specs: description.weightsManifest[0].weights,
    bytes: weights.length,
    probabilities: async (rgb) => {
      const input = tf.tidy(() => {
        const resized = tf.image.resizeBilinear(
          rgb.div(255).expandDims(0),
          [size, size],
        );
        return resized.mul(weighted).sum(3, true).sub(0.5).mul(2);
      });
      const output = model.execute(input);
      const found = await output.data();
      tf.dispose([input, output]);
      return found;
    },
  };
}

// @vladmandic/face-api has all of it in one call.
async function faceApi(tf, folder, faceapi) {
  const network = faceapi.nets.faceExpressionNet;
  await network.loadFromDisk(path.join(folder, "model"));
  const manifest = "model/face_expression_model-weights_manifest.json";
  const weights = path.join(folder, "model/face_expression_model.bin");
  const names = [
    "neutral", "happy", "sad", "angry", "fearful", "disgusted", "surprised",
  ];
  return {
    class_names: names,
    specs: JSON.parse(
      fs.readFileSync(path.join(folder, manifest), "utf8"),
    )[0].weights,
    bytes: fs.statSync(weights).size,
    probabilities: async (rgb) => {
      const found = await network.predictExpressions(rgb);
      return names.map((name) => found[name]);
    },
  };
}

async function main([folder, peer, faces, pixels, out]) {
  const load = createRequire(path.join(path.resolve(folder), "here.js"));
  const modules = path.join(path.resolve(folder), "node_modules");
  const wasm = load("@tensorflow/tfjs-backend-wasm");
  wasm.setWasmPaths(
    path.join(modules, "@tensorflow/tfjs-backend-wasm/dist") + path.sep,
  );
  const name = { human: "human", face_api: "face-api" }[peer];
  const own = path.join(modules, "@vladmandic", name);
  const tf = load("@tensorflow/tfjs");
  await tf.setBackend("wasm");
  await tf.ready();
  const network =
    peer === "human"
      ? await human(tf, own)
      : await faceApi(
          tf,
          own,
          load("@vladmandic/face-api/dist/face-api.node-wasm.js"),
        );

  const bytes = fs.readFileSync(faces);
  const side = Number(pixels);
  const probabilities = [];
  const milliseconds = [];
  const one = async (start) => {
    const grey = bytes.subarray(start, start + side * side);
    const before = performance.now();
    const rgb = tf.tidy(() =>
      tf.tile(tf.tensor3d(Float32Array.from(grey), [side, side, 1]), [1, 1, 3]),
    );
    const found = Array.from(await network.probabilities(rgb));
    tf.dispose(rgb);
    return [found, performance.now() - before];
  };
  for (let i = 0; i < WARM_UP; i++) await one(0);
  for (let start = 0; start < bytes.length; start += side * side) {
    const [found, time] = await one(start);
    probabilities.push(found);
    milliseconds.push(time);
  }
  const { version } = JSON.parse(
    fs.readFileSync(path.join(own, "package.json"), "utf8"),
  );
  const count = (spec) => spec.shape.reduce((a, b) => a * b, 1);
  fs.writeFileSync(
    out,
    JSON.stringify({
      class_names: network.class_names,
      probabilities,
      milliseconds,
      version,
      runtime: `TensorFlow.js ${tf.version_core}, ${tf.getBackend()}`,
      bytes: network.bytes,
      parameters: network.specs.reduce((sum, spec) => sum + count(spec), 0),
    }),
  );
}

main(process.argv.slice(2)).catch((error) => {
  console.error(error);
  process.exit(1);
});
