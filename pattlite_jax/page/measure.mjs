// Opens the page in Chromium, gives it a picture a number of times, and prints
// the milliseconds that it says: [detection, one face] of each time.
//
// Usage: node measure.mjs NODE_MODULES CHROMIUM URL PICTURE TIMES

import { createRequire } from "node:module";

const [modules, executablePath, url, picture, times] = process.argv.slice(2);
const { chromium } = createRequire(`${modules}/`)("playwright-core");
const browser = await chromium.launch({ executablePath, args: ["--no-sandbox"] });
const page = await browser.newPage();
page.setDefaultTimeout(120_000);
await page.goto(url);
await page.waitForSelector("body[data-ready]");
const milliseconds = [];
for (let k = 0; k < Number(times); k++) {
  await page.evaluate(() => {
    delete document.getElementById("status").dataset.milliseconds;
  });
  await page.setInputFiles("#file", picture);
  await page.waitForSelector("#status[data-milliseconds]");
  milliseconds.push(
    JSON.parse(await page.getAttribute("#status", "data-milliseconds")),
  );
}
console.log(JSON.stringify({ version: browser.version(), milliseconds }));
await browser.close();
