"use strict";
(() => {
  const pictures = JSON.parse(document.getElementById("pictures").textContent);
  const $ = (id) => document.getElementById(id);
  const [stage, image, canvas, state] = ["stage", "image", "paint", "state"].map($);
  const context = canvas.getContext("2d");
  const RED = [230, 40, 60, 255];
  const UNDO = 12;

  // What is painted on an image: 1 where it may change, and what strokes have covered.
  const work = pictures.map((p) => ({ mask: new Uint8Array(p.width * p.height), history: [] }));
  let current = 0;
  let erasing = false;
  let stroke = null;

  const percent = (k) => (100 * work[k].mask.reduce((sum, v) => sum + v, 0)) / work[k].mask.length;
  const label = (k) => {
    const share = percent(k);
    return share === 0 ? "nothing yet" : `${share < 0.1 ? "< 0.1" : share.toFixed(1)} %`;
  };

  // Redraw a rectangle of the overlay: left, top, right, bottom, in pixels of the image.
  function show([x0, y0, x1, y1]) {
    const { width } = pictures[current];
    if (x1 <= x0 || y1 <= y0) return;
    const data = context.createImageData(x1 - x0, y1 - y0);
    for (let y = y0, at = 0; y < y1; y++)
      for (let x = x0; x < x1; x++, at += 4)
        if (work[current].mask[y * width + x]) data.data.set(RED, at);
    context.putImageData(data, x0, y0);
  }

  const whole = () => [0, 0, pictures[current].width, pictures[current].height];

  function tell() {
    const { name, width, height } = pictures[current];
    state.textContent = `${name}: ${width} × ${height} pixels, ${label(current)} may change`;
    document.querySelector(`#list li:nth-child(${current + 1}) small`).textContent = label(current);
    $("undo").disabled = work[current].history.length === 0;
    $("save").disabled = percent(current) === 0;
    $("all").disabled = !work.some((w) => w.mask.includes(1));
  }

  // Set all pixels whose centre is within a radius of the segment from a to b.
  function paint(a, b, radius, value) {
    const { width, height } = pictures[current];
    const mask = work[current].mask;
    const box = [
      Math.max(0, Math.floor(Math.min(a.x, b.x) - radius)),
      Math.max(0, Math.floor(Math.min(a.y, b.y) - radius)),
      Math.min(width, Math.ceil(Math.max(a.x, b.x) + radius)),
      Math.min(height, Math.ceil(Math.max(a.y, b.y) + radius)),
    ];
    const [dx, dy] = [b.x - a.x, b.y - a.y];
    const length = dx * dx + dy * dy;
    for (let y = box[1]; y < box[3]; y++)
      for (let x = box[0]; x < box[2]; x++) {
        const [px, py] = [x + 0.5 - a.x, y + 0.5 - a.y];
        const t = length ? Math.min(1, Math.max(0, (px * dx + py * dy) / length)) : 0;
        if ((px - t * dx) ** 2 + (py - t * dy) ** 2 <= radius * radius) mask[y * width + x] = value;
      }
    show(box);
  }

  function remember() {
    const history = work[current].history;
    history.push(work[current].mask.slice());
    if (history.length > UNDO) history.shift();
  }

  function change(make) {
    remember();
    make(work[current].mask);
    show(whole());
    tell();
  }

  const where = (event) => {
    const box = canvas.getBoundingClientRect();
    const { width, height } = pictures[current];
    return {
      x: ((event.clientX - box.left) * width) / box.width,
      y: ((event.clientY - box.top) * height) / box.height,
    };
  };
  // A brush is at least as wide as it takes to hit a pixel wherever it is put down.
  const radius = () => Math.max(0.71, Number($("size").value) / 2);

  canvas.addEventListener("pointerdown", (event) => {
    if (event.button > 0) return;
    canvas.setPointerCapture(event.pointerId);
    remember();
    stroke = where(event);
    paint(stroke, stroke, radius(), erasing ? 0 : 1);
    event.preventDefault();
  });
  canvas.addEventListener("pointermove", (event) => {
    if (!stroke) return;
    for (const part of event.getCoalescedEvents?.() ?? [event]) {
      const next = where(part);
      paint(stroke, next, radius(), erasing ? 0 : 1);
      stroke = next;
    }
  });
  for (const end of ["pointerup", "pointercancel"])
    canvas.addEventListener(end, () => {
      if (stroke) tell();
      stroke = null;
    });

  function open(k) {
    current = k;
    const { name, width, height, source } = pictures[k];
    image.src = source;
    image.alt = name;
    [canvas.width, canvas.height] = [width, height];
    // Small images are enlarged, large ones brought into view.
    const room = [Math.max(240, stage.parentElement.clientWidth - 2), 0.72 * innerHeight];
    const scale = Math.min(room[0] / width, room[1] / height, 16);
    stage.style.width = `${Math.round(width * scale)}px`;
    stage.style.height = `${Math.round(height * scale)}px`;
    stage.classList.toggle("small", scale > 1.5);
    $("size").max = Math.max(16, Math.round(Math.min(width, height) / 3));
    for (const [n, item] of [...document.querySelectorAll("#list button")].entries())
      item.setAttribute("aria-current", n === k);
    show(whole());
    choose(erasing);
    tell();
  }

  function choose(erase) {
    erasing = erase;
    $("brush").setAttribute("aria-pressed", !erase);
    $("eraser").setAttribute("aria-pressed", erase);
    $("width").textContent = `${$("size").value} px`;
  }

  // The mask as a PNG file: white where the image may change, black elsewhere.
  function png(k) {
    const { width, height } = pictures[k];
    const page = new OffscreenCanvas(width, height);
    const data = new ImageData(width, height);
    for (let at = 0; at < work[k].mask.length; at++)
      data.data.set(work[k].mask[at] ? [255, 255, 255, 255] : [0, 0, 0, 255], 4 * at);
    page.getContext("2d").putImageData(data, 0, 0);
    return page.convertToBlob({ type: "image/png" });
  }

  function download(blob, name) {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(blob);
    link.download = name;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
  }

  // A ZIP archive whose files are stored as they are (PNG does not shrink any further).
  async function zip(entries) {
    const table = Array.from({ length: 256 }, (_, n) => {
      for (let bit = 0; bit < 8; bit++) n = n & 1 ? 0xedb88320 ^ (n >>> 1) : n >>> 1;
      return n >>> 0;
    });
    const crc = (bytes) => {
      let value = ~0;
      for (const byte of bytes) value = table[(value ^ byte) & 255] ^ (value >>> 8);
      return ~value >>> 0;
    };
    const fields = (...pairs) => {
      const view = new DataView(new ArrayBuffer(pairs.reduce((sum, [size]) => sum + size, 0)));
      let at = 0;
      for (const [size, value] of pairs) {
        if (size === 2) view.setUint16(at, value, true);
        else view.setUint32(at, value, true);
        at += size;
      }
      return new Uint8Array(view.buffer);
    };
    const UTF8 = 0x0800;
    const DATE = 0x0021; // 1 January 1980: the archive depends on the masks alone
    const [body, directory] = [[], []];
    let offset = 0;
    for (const [name, blob] of entries) {
      const bytes = new Uint8Array(await blob.arrayBuffer());
      const title = new TextEncoder().encode(name);
      const facts = [[2, 20], [2, UTF8], [2, 0], [2, 0], [2, DATE], [4, crc(bytes)], [4, bytes.length], [4, bytes.length], [2, title.length], [2, 0]];
      const head = fields([4, 0x04034b50], ...facts);
      directory.push(fields([4, 0x02014b50], [2, 20], ...facts, [2, 0], [2, 0], [2, 0], [4, 0], [4, offset]), title);
      body.push(head, title, bytes);
      offset += head.length + title.length + bytes.length;
    }
    const size = directory.reduce((sum, part) => sum + part.length, 0);
    const count = entries.length;
    const end = fields([4, 0x06054b50], [2, 0], [2, 0], [2, count], [2, count], [4, size], [4, offset], [2, 0]);
    return new Blob([...body, ...directory, end], { type: "application/zip" });
  }

  const painted = () => pictures.map((p, k) => k).filter((k) => work[k].mask.includes(1));
  $("save").addEventListener("click", async () => download(await png(current), `${pictures[current].name}.png`));
  $("all").addEventListener("click", async () => {
    const entries = [];
    for (const k of painted()) entries.push([`${pictures[k].name}.png`, await png(k)]);
    download(await zip(entries), "masks.zip");
    state.textContent = `${entries.length} of ${pictures.length} images have a mask; the others were left out`;
  });
  $("brush").addEventListener("click", () => choose(false));
  $("eraser").addEventListener("click", () => choose(true));
  $("size").addEventListener("input", () => choose(erasing));
  $("clear").addEventListener("click", () => change((mask) => mask.fill(0)));
  $("invert").addEventListener("click", () => change((mask) => mask.forEach((v, at) => (mask[at] = 1 - v))));
  $("undo").addEventListener("click", () => {
    work[current].mask = work[current].history.pop();
    show(whole());
    tell();
  });
  addEventListener("keydown", (event) => {
    if ((event.ctrlKey || event.metaKey) && event.key === "z") $("undo").click();
    else if (event.ctrlKey || event.metaKey || event.altKey) return;
    else if (event.key === "b") choose(false);
    else if (event.key === "e") choose(true);
    else return;
    event.preventDefault();
  });

  for (const [k, { name, source }] of pictures.entries()) {
    const item = document.createElement("li");
    const button = document.createElement("button");
    const [small, text, note] = ["img", "span", "small"].map((tag) => document.createElement(tag));
    button.type = "button";
    [small.src, small.alt, note.textContent] = [source, "", "nothing yet"];
    text.append(name, note);
    button.append(small, text);
    button.addEventListener("click", () => open(k));
    item.append(button);
    $("list").append(item);
  }
  addEventListener("resize", () => open(current));
  open(0);
})();
