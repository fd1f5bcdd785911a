// What a person sees and does.

import { load } from "./networks.js";
import { fromCanvas } from "./pixels.js";

const MAX_PIXELS = 50e6;
const SHOWN = 3; // Expressions of each face.
const at = (id) => document.getElementById(id);
const say = (text) => (at("status").textContent = text);
const canvas = at("picture");
const context = canvas.getContext("2d", { willReadFrequently: true });
let networks;
let stream = null;
let current = 0; // Counts what a person asked for: the newest alone is shown.
let reading = Promise.resolve(); // One at a time, as the networks take.

function percent(share) {
  return `${(100 * share).toFixed(1)} %`;
}

function likeliest(probabilities) {
  return probabilities
    .map((probability, k) => ({ name: networks.about.class_names[k], probability }))
    .toSorted((a, b) => b.probability - a.probability);
}

// Draws a source on white, as wide as it is, and reads its faces, unless
// something else was asked for meanwhile. Returns whether it is shown.
async function look(mine, source, width, height, passes) {
  const before = reading;
  let done;
  reading = new Promise((resolve) => (done = resolve));
  await before;
  try {
    if (mine !== current) return false;
    return await drawAndRead(mine, source, width, height, passes);
  } catch (error) {
    if (mine === current) say(`The picture cannot be read: ${error.message}`);
    return false;
  } finally {
    done();
  }
}

async function drawAndRead(mine, source, width, height, passes) {
  if (canvas.width !== width) canvas.width = width;
  if (canvas.height !== height) canvas.height = height;
  context.fillStyle = "white";
  context.fillRect(0, 0, width, height);
  context.drawImage(source, 0, 0, width, height);
  const pixels = fromCanvas(context.getImageData(0, 0, width, height));
  const result = await networks.read(pixels, passes);
  if (mine !== current) return false;
  mark(result.faces);
  list(result.faces);
  const count = result.faces.length;
  const each = count ? `, ${(result.network / count).toFixed(0)} ms a face` : "";
  at("status").dataset.milliseconds = JSON.stringify([
    result.detection,
    count ? result.network / count : null,
  ]);
  say(
    `${count === 1 ? "1 face" : `${count || "No"} faces`}. ` +
      `Detection ${result.detection.toFixed(0)} ms${each}.`,
  );
  return true;
}

function mark(faces) {
  const unit = Math.max(canvas.width, canvas.height) / 100;
  context.lineWidth = Math.max(unit / 3, 1);
  context.font = `bold ${Math.max(2.4 * unit, 11)}px sans-serif`;
  context.textBaseline = "bottom";
  faces.forEach(({ box: [left, top, right, bottom], probabilities }, k) => {
    const { name } = likeliest(probabilities)[0];
    const text = `${k + 1} ${name}`;
    context.strokeStyle = "#ffd400";
    context.strokeRect(left, top, right - left, bottom - top);
    const size = Math.max(2.4 * unit, 11);
    const width = context.measureText(text).width + unit;
    const x = Math.max(Math.min(left, canvas.width - width), 0);
    const y = top > 1.4 * size ? top : Math.min(bottom + 1.4 * size, canvas.height);
    context.fillStyle = "#000c";
    context.fillRect(x, y - 1.3 * size, width, 1.3 * size);
    context.fillStyle = "#ffd400";
    context.fillText(text, x + unit / 2, y - 0.1 * size);
  });
  const names = faces.map((f, k) => `${k + 1} ${likeliest(f.probabilities)[0].name}`);
  canvas.setAttribute(
    "aria-label",
    `The picture with a box around each face: ${names.join(", ") || "none found"}.`,
  );
  at("drop").classList.add("shown");
}

function list(faces) {
  const rows = faces.map((face, k) => {
    const row = document.createElement("tr");
    row.dataset.box = JSON.stringify(face.box);
    row.dataset.detection = face.score;
    row.dataset.probabilities = JSON.stringify(face.probabilities);
    const number = document.createElement("th");
    number.scope = "row";
    number.textContent = k + 1;
    const cell = document.createElement("td");
    for (const { name, probability } of likeliest(face.probabilities).slice(0, SHOWN)) {
      const line = document.createElement("div");
      const bar = document.createElement("meter");
      bar.value = probability;
      bar.setAttribute("aria-hidden", "true"); // The text beside it says it.
      const text = document.createElement("span");
      text.textContent = `${name} ${percent(probability)}`;
      line.append(bar, text);
      cell.append(line);
    }
    row.append(number, cell);
    return row;
  });
  at("faces").replaceChildren(...rows);
  at("results").hidden = !rows.length;
}

async function open(file) {
  stop();
  const mine = current;
  say("Reading the picture …");
  let bitmap;
  try {
    bitmap = await createImageBitmap(file, { colorSpaceConversion: "none" });
  } catch {
    if (mine === current) say(`${file.name || "This"} is not a picture that this browser can read.`);
    return;
  }
  if (bitmap.width * bitmap.height > MAX_PIXELS) {
    if (mine === current) say("This picture is too large: at most 50 million pixels.");
    return;
  }
  await look(mine, bitmap, bitmap.width, bitmap.height, ["whole", "padded", "tiles"]);
}

// Ends what is under way: a camera, and whatever is still read.
function stop() {
  current += 1;
  stream?.getTracks().forEach((track) => track.stop());
  stream = null;
  at("camera").textContent = "Open the camera";
}

async function toggleCamera() {
  const runs = stream !== null;
  stop();
  if (runs) return;
  const mine = current;
  const video = document.createElement("video");
  let own;
  try {
    own = await navigator.mediaDevices.getUserMedia({
      video: { width: { ideal: 640 } },
    });
  } catch (error) {
    if (mine === current) say(`The camera cannot be opened (${error.name}).`);
    return;
  }
  if (mine !== current) {
    own.getTracks().forEach((track) => track.stop());
    return;
  }
  stream = own;
  at("camera").textContent = "Stop the camera";
  video.srcObject = own;
  video.muted = true;
  await video.play();
  const frame = async () => {
    if (mine !== current) return;
    // A camera that starts has no size yet.
    const { videoWidth: width, videoHeight: height } = video;
    if (width && !(await look(mine, video, width, height, ["whole"]))) return;
    requestAnimationFrame(frame);
  };
  frame();
}

function listen() {
  at("file").addEventListener("change", ({ target }) => {
    if (target.files[0]) open(target.files[0]);
    target.value = ""; // So that the same picture can be chosen again.
  });
  at("camera").addEventListener("click", toggleCamera);
  const drop = at("drop");
  drop.addEventListener("dragover", (event) => event.preventDefault());
  drop.addEventListener("drop", (event) => {
    event.preventDefault();
    const [file] = event.dataTransfer.files;
    if (file) open(file);
  });
  document.addEventListener("paste", ({ clipboardData }) => {
    if (clipboardData.files[0]) open(clipboardData.files[0]);
  });
}

function describe({ class_names, summary, model, sha256, version }) {
  at("classes").textContent = class_names.join(", ");
  at("summary").textContent = summary;
  at("version").textContent = `Network ${model}, ${sha256}; pattlite-jax ${version}.`;
}

try {
  networks = await load();
  describe(networks.about);
  listen();
  for (const id of ["file", "camera"]) at(id).disabled = false;
  document.body.dataset.ready = "true";
  say("Ready.");
} catch (error) {
  say(`The page cannot run here: ${error.message}`);
}
