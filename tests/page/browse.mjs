// Opens the page in Chromium, gives it pictures, and prints what it shows.
// node browse.mjs NODE_MODULES CHROMIUM URL SCREENSHOTS PICTURE...

import { createRequire } from "node:module";

const [modules, executablePath, url, screenshots, ...pictures] =
  process.argv.slice(2);
const { chromium } = createRequire(`${modules}/`)("playwright-core");
const browser = await chromium.launch({
  executablePath,
  args: [
    "--no-sandbox",
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
  ],
});
const page = await browser.newPage({ colorScheme: "dark" });
page.setDefaultTimeout(120_000);
const problems = [];
page.on("pageerror", (error) => problems.push(String(error)));
page.on("console", (message) => {
  if (message.type() === "error") problems.push(message.text());
});
const requests = [];
page.on("request", (request) => requests.push(request.url()));
await page.goto(url);
await page.waitForSelector("body[data-ready]");
const whileLoading = requests.length;

async function faces() {
  return page.$$eval("#faces tr", (rows) =>
    rows.map(({ dataset, innerText }) => ({
      box: JSON.parse(dataset.box),
      probabilities: JSON.parse(dataset.probabilities),
      text: innerText,
    })),
  );
}

const seen = [];
for (const [k, picture] of pictures.entries()) {
  for (let again = 0; again < 2; again++) {
    await page.evaluate(() => {
      document.getElementById("status").textContent = "";
    });
    await page.setInputFiles("#file", picture);
    await page.waitForFunction(() =>
      document.getElementById("status").textContent.includes("Detection"),
    );
  }
  await page.screenshot({ path: `${screenshots}/${k}.png`, fullPage: true });
  seen.push({
    faces: await faces(),
    status: await page.textContent("#status"),
    label: await page.getAttribute("#picture", "aria-label"),
  });
}

// By keyboard alone: the camera's button has the focus after two tabs.
await page.evaluate(() => {
  document.activeElement.blur();
  document.getElementById("status").textContent = "";
});
await page.keyboard.press("Tab");
const first = await page.evaluate(() => document.activeElement.id);
await page.keyboard.press("Tab");
await page.keyboard.press("Enter");
await page.waitForFunction(() =>
  document.getElementById("status").textContent.includes("Detection"),
);
const camera = await page.textContent("#camera");
await page.keyboard.press("Enter");
await page.waitForFunction(() =>
  document.getElementById("camera").textContent.startsWith("Open"),
);
const size = await page.$eval("#picture", ({ width, height }) => [width, height]);
await page.setInputFiles("#file", {
  name: "note.png",
  mimeType: "image/png",
  buffer: Buffer.from("no picture"),
});
await page.waitForFunction(() =>
  document.getElementById("status").textContent.includes("not a picture"),
);
console.log(
  JSON.stringify({
    seen,
    keyboard: [first, camera, size],
    text: await page.innerText("body"),
    problems,
    requests: requests.slice(0, whileLoading),
    requestsAfterwards: requests
      .slice(whileLoading)
      .filter((address) => !address.startsWith("blob:")),
  }),
);
await browser.close();
