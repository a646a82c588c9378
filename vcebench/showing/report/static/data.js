// The data of the report: a head in the page, everything else in script files that are loaded when
// they are needed. A page opened from its folder may load scripts, but read no other file.
"use strict";

window.ReportData = (() => {
  const KEPT = 64; // pieces held at a time
  const EXPLAINED = 1;
  const FLIPPED = 2;
  const FINITE = 4;
  const MASK = 8;
  const UNKNOWN = 16;
  const ALREADY = 32;
  const REGION = 64;

  const head = JSON.parse(document.querySelector("#data").textContent);
  const waiting = new Map();

  /** Called by every data file. */
  const take = (name, content) => waiting.get(name)?.(content);

  const load = (name) =>
    new Promise((resolve, reject) => {
      waiting.set(name, resolve);
      const script = document.createElement("script");
      const end = () => {
        script.remove();
        waiting.delete(name);
      };
      script.onload = end;
      script.onerror = () => {
        end();
        reject(new Error(`data/${name}.js is missing`));
      };
      script.src = `data/${name}.js`;
      document.head.append(script);
    });

  const bytes = (text) => {
    const letters = atob(text);
    const found = new Uint8Array(letters.length);
    for (let i = 0; i < letters.length; i += 1) found[i] = letters.charCodeAt(i);
    return found;
  };

  const once = (decode) => {
    const known = new Map();
    return (name) => {
      if (!known.has(name)) known.set(name, load(name).then(decode));
      return known.get(name);
    };
  };
  const flags = once(bytes);
  const values = once((text) => new Float32Array(bytes(text).buffer));
  const text = once((content) => content);

  const pieces = new Map();
  const piece = (number) => {
    const name = `images-${String(number + 1).padStart(5, "0")}`;
    const found = pieces.get(name) ?? load(name);
    pieces.delete(name);
    pieces.set(name, found); // the last used comes last
    for (const oldest of [...pieces.keys()].slice(0, Math.max(0, pieces.size - KEPT))) {
      pieces.delete(oldest);
    }
    return found;
  };

  const nameOf = (number) => String(number + 1).padStart(5, "0");

  const result = ([run, bits, probability]) => {
    const named = { counterfactual: `${run + 1}-counterfactual${head.runs[run].suffix}` };
    named.difference = `${run + 1}-difference.png`;
    if (bits & MASK) named.mask = `${run + 1}-mask.png`;
    if (bits & REGION) named.region = `${run + 1}-region.png`;
    const finite = Boolean(bits & FINITE);
    return {
      run,
      finite,
      already: Boolean(bits & ALREADY),
      flipped: bits & UNKNOWN ? null : Boolean(bits & FLIPPED),
      probability,
      pictures: finite ? named : {},
    };
  };

  /** One image as its card shows it, counted from 0. */
  const image = async (number) => {
    const rows = await piece(Math.floor(number / head.piece));
    const row = rows[number % head.piece];
    const [id, source, target, label, correct, width, height, truth, results] = row;
    return {
      id,
      name: nameOf(number),
      source: head.words[source],
      target: head.words[target],
      label: head.words[label],
      wrong: correct === 0,
      input: `input${head.runs[results[0][0]].suffix}`,
      truth: truth ? "truth.png" : null,
      size: [width, height],
      results: results.map(result),
    };
  };

  return {
    head,
    take,
    image,
    nameOf,
    /** A byte an image of the run's subject: see the bits above. */
    results: (run) => flags(`run-${run + 1}`),
    /** A byte an image: 1 where the input is classified correctly, 2 where nobody knows. */
    correct: () => flags("correct"),
    /** A float an image of the run's subject, NaN where it has no value. */
    values: (run, order) => values(`run-${run + 1}-${order}`),
    /** All names in small letters, a line each. */
    ids: () => text("ids"),
    EXPLAINED,
    FLIPPED,
    UNKNOWN,
  };
})();
