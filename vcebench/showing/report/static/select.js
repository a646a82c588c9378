// Which images a state of the gallery asks for, and in which order; over all images of a subject.
"use strict";

window.Select = (() => {
  const data = window.ReportData;

  const hidden = (state) => new Set(state.hide.split(",").filter((part) => part !== ""));

  /** Numbers of the runs whose results count for filters and orders. */
  const judged = (state) => {
    if (state.run !== "any") return [Number(state.run)];
    const without = hidden(state);
    return data.head.runs
      .map((run, number) => ({ ...run, number }))
      .filter((run) => String(run.subject) === state.subject && !without.has(String(run.number)))
      .map((run) => run.number);
  };

  const range = (state) => {
    const { start, end } = data.head.subjects[state.subject];
    return { start, count: end - start };
  };

  /** Marks (a byte an image) of those whose name holds some text. */
  const named = async (words, { start, count }) => {
    const text = await data.ids();
    const marks = new Uint8Array(count);
    const end = start + count;
    let line = 0;
    let at = text.indexOf(words);
    let from = 0;
    while (at !== -1) {
      for (let next = text.indexOf("\n", from); next !== -1 && next < at; ) {
        line += 1;
        from = next + 1;
        next = text.indexOf("\n", from);
      }
      if (line >= start && line < end) marks[line - start] = 1;
      const after = text.indexOf("\n", at);
      if (after === -1 || line >= end) break;
      line += 1;
      from = after + 1;
      at = text.indexOf(words, from);
    }
    return marks;
  };

  const filters = async (state, where) => {
    const found = [];
    if (state.input !== "all") {
      const correct = await data.correct();
      const wanted = state.input === "correct" ? 1 : 0;
      found.push((i) => correct[where.start + i] === wanted);
    }
    if (state.find) {
      const marks = await named(state.find.toLowerCase(), where);
      found.push((i) => marks[i] === 1);
    }
    const runs = await Promise.all(
      state.outcome !== "all" || state.run !== "any" ? judged(state).map(data.results) : [],
    );
    const { EXPLAINED, FLIPPED, UNKNOWN } = data;
    const judgedBits = EXPLAINED | FLIPPED | UNKNOWN;
    if (state.outcome === "flipped") found.push((i) => runs.some((bits) => bits[i] & FLIPPED));
    else if (state.outcome === "missed") {
      found.push((i) => runs.some((bits) => (bits[i] & judgedBits) === EXPLAINED));
    } else if (state.run !== "any") found.push((i) => runs.some((bits) => bits[i] & EXPLAINED));
    return found;
  };

  /** The worst value of the judged runs, turned so that larger is worse; -∞ without a value. */
  const badness = async (state, order, count) => {
    const runs = judged(state).filter((run) => order.runs.includes(run));
    const columns = await Promise.all(runs.map((run) => data.values(run, order.id)));
    const worst = new Float32Array(count).fill(-Infinity);
    const sign = order.higher ? -1 : 1;
    for (const column of columns) {
      for (let i = 0; i < count; i += 1) {
        const value = sign * column[i];
        if (value > worst[i]) worst[i] = value; // never where it is NaN
      }
    }
    return worst;
  };

  /**
   * Sorts positions by their value, largest first, those without one last, equal ones as they are.
   * A value's 32 bits, turned so that they count downwards, and its position make one number each.
   */
  const sort = (chosen, worst) => {
    const raw = new Uint32Array(worst.buffer);
    const room = Math.max(1, 2 ** Math.ceil(Math.log2(worst.length))); // above every position
    const fine = Math.min(1, 2 ** 21 / room); // 53 bits are exact in a number
    const packed = Float64Array.from(chosen, (i) => {
      const rising = raw[i] >= 2 ** 31 ? 2 ** 32 - 1 - raw[i] : raw[i] + 2 ** 31;
      return Math.floor((2 ** 32 - 1 - rising) * fine) * room + i;
    });
    packed.sort();
    packed.forEach((number, k) => {
      chosen[k] = number % room;
    });
  };

  const compute = async (state) => {
    const where = range(state);
    const tests = await filters(state, where);
    const found = new Uint32Array(where.count);
    let length = 0;
    for (let i = 0; i < where.count; i += 1) {
      if (tests.every((test) => test(i))) {
        found[length] = i;
        length += 1;
      }
    }
    const chosen = found.subarray(0, length);
    const order = data.head.orders.find((one) => one.id === state.order);
    if (order) {
      sort(chosen, await badness(state, order, where.count));
    }
    for (let i = 0; i < length; i += 1) chosen[i] += where.start;
    return chosen;
  };

  let last = { key: "", found: null };
  /** Numbers of the images that a state asks for, in order; turning a page asks for none anew. */
  const select = (state) => {
    const { subject, outcome, run, input, order, find, hide } = state;
    const key = JSON.stringify([subject, outcome, run, input, order, find, hide]);
    if (last.key !== key) last = { key, found: compute(state) };
    return last.found;
  };

  return { select, hidden, range };
})();
