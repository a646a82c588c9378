// The gallery: filters, orders, pages and keys over the data of the report.
"use strict";

(() => {
  const PAGE = 24;
  const { card, make } = window.Cards;
  const { select, hidden, range } = window.Select;
  const data = window.ReportData;
  const { runs, subjects, orders } = data.head;
  const labels = runs.map((run) => run.label);
  const form = document.querySelector("#filters");
  const cards = document.querySelector("#cards");
  const pager = document.querySelector("#pager");
  const goto = document.querySelector("#goto");
  const field = (name) => form.elements.namedItem(name);

  const DEFAULTS = {
    subject: "0",
    outcome: "all",
    run: "any",
    input: "all",
    order: "index",
    find: "",
    view: "cards",
    layer: "counterfactual",
    hide: "",
    page: "1",
  };
  let state = { ...DEFAULTS };

  // ---- state and address ------------------------------------------------------------------

  const readAddress = () => {
    const given = new URLSearchParams(location.hash.slice(1));
    state = { ...DEFAULTS };
    for (const name of Object.keys(DEFAULTS)) if (given.has(name)) state[name] = given.get(name);
    if (!subjects[state.subject]) state.subject = "0";
  };

  const writeAddress = () => {
    const wanted = new URLSearchParams();
    for (const [name, value] of Object.entries(state)) {
      if (value !== DEFAULTS[name]) wanted.set(name, value);
    }
    const hash = wanted.toString();
    history.replaceState(null, "", hash ? `#${hash}` : location.pathname.split("/").pop());
  };

  // ---- drawing ----------------------------------------------------------------------------

  const WINDOW = 5000;
  const remember = (found, from) => {
    // Lets the page of an image lead through the same selection, and back to it. Of a long one it
    // knows those around the page that is shown.
    const first = Math.max(0, from - WINDOW);
    const numbers = found.subarray(first, from + WINDOW);
    const names = Array.from(numbers, data.nameOf);
    try {
      const known = JSON.stringify({ first, total: found.length, names });
      sessionStorage.setItem("vcebench-order", known);
      sessionStorage.setItem("vcebench-gallery", location.hash);
    } catch {
      // Without storage the pages lead through all images.
    }
  };

  let latest = 0;
  const draw = async () => {
    latest += 1;
    const ticket = latest;
    cards.setAttribute("aria-busy", "true");
    try {
      const found = await select(state);
      const pages = Math.max(1, Math.ceil(found.length / PAGE));
      const page = Math.min(Math.max(1, Math.floor(Number(state.page)) || 1), pages);
      const from = (page - 1) * PAGE;
      const part = Array.from(found.subarray(from, from + PAGE), data.image);
      const images = await Promise.all(part);
      if (ticket !== latest) return; // the reader has chosen otherwise meanwhile
      state.page = String(page);
      show(images, found.length, pages);
      writeAddress();
      remember(found, from);
    } catch (error) {
      if (ticket !== latest) return;
      cards.replaceChildren(make("p", { class: "empty" }, `${error.message}; make the report again.`));
    }
    cards.setAttribute("aria-busy", "false");
  };

  const show = (images, count, pages) => {
    const without = hidden(state);
    const visible = (image) => image.results.filter((one) => !without.has(String(one.run)));
    const drawn = images.map((image) => card(image, visible(image), labels));
    cards.className = `cards ${state.view} layer-${state.layer}`;
    cards.replaceChildren(...drawn);
    if (!drawn.length) cards.append(make("p", { class: "empty" }, "No image fits these filters."));
    const all = range(state).count;
    document.querySelector("#count").textContent =
      `${count.toLocaleString("en")} of ${all.toLocaleString("en")} images`;
    goto.value = state.page;
    goto.max = String(pages);
    document.querySelector("#pages").textContent = `of ${pages.toLocaleString("en")}`;
    pager.hidden = pages < 2;
    const [before, after] = pager.querySelectorAll("button");
    before.disabled = state.page === "1";
    after.disabled = state.page === String(pages);
    document.querySelector("#layer").hidden = state.view !== "side";
  };

  const change = (values) => {
    state = { ...state, page: "1", ...values };
    return draw();
  };

  // ---- controls ---------------------------------------------------------------------------

  const option = (value, text) => make("option", { value }, text);

  const fillControls = () => {
    const own = runs
      .map((run, number) => ({ ...run, number }))
      .filter((run) => String(run.subject) === state.subject);
    field("run").replaceChildren(
      option("any", own.length > 1 ? "any method" : "the method"),
      ...own.map((run) => option(run.number, run.label)),
    );
    field("order").replaceChildren(
      option("index", "as in the data set"),
      ...orders.map((order) => option(order.id, `worst ${order.title}`)),
    );
    const methods = document.querySelector("#methods");
    const boxes = own.map((run) => {
      const box = make("input", { type: "checkbox", value: run.number });
      box.checked = !hidden(state).has(String(run.number));
      return make("label", {}, box, make("span", {}, run.label));
    });
    methods.replaceChildren(methods.querySelector("legend"), ...boxes);
    methods.hidden = own.length < 2;
  };

  const showState = () => {
    fillControls();
    for (const name of ["subject", "outcome", "run", "input", "order", "find"]) {
      field(name).value = state[name];
      if (field(name).selectedIndex === -1) {
        field(name).selectedIndex = 0;
        state[name] = field(name).value;
      }
    }
    for (const name of ["view", "layer"]) {
      const radios = [...document.querySelectorAll(`input[name=${name}]`)];
      const radio = radios.find((one) => one.value === state[name]) ?? radios[0];
      radio.checked = true;
      state[name] = radio.value;
    }
  };

  form.addEventListener("submit", (event) => event.preventDefault());
  field("find").addEventListener("input", () => change({ find: field("find").value }));
  form.addEventListener("change", (event) => {
    const { name, value } = event.target;
    if (name === "find") return;
    if (name === "subject") {
      state = { ...state, subject: value, run: "any", hide: "", page: "1" };
      showState();
      draw();
    } else change({ [name]: value });
  });
  form.addEventListener("reset", (event) => {
    event.preventDefault();
    state = { ...DEFAULTS, view: state.view, layer: state.layer };
    showState();
    draw();
  });
  document.querySelector(".views").addEventListener("change", (event) => {
    const { name, value } = event.target;
    if (name) return change({ [name]: value, page: state.page });
    const boxes = [...document.querySelectorAll("#methods input")];
    const off = boxes.filter((box) => !box.checked);
    if (off.length === boxes.length) event.target.checked = true;
    change({ hide: off.length === boxes.length ? state.hide : off.map((b) => b.value).join() });
  });

  const turn = async (page) => {
    const before = state.page;
    await change({ page: String(page) });
    if (state.page !== before) document.querySelector("#gallery").scrollIntoView();
  };
  const step = (by) => turn(Number(state.page) + by);
  goto.addEventListener("change", () => turn(goto.value));
  pager.addEventListener("click", (event) => {
    const by = event.target.dataset.step;
    if (by) step(Number(by));
  });

  // ---- keys -------------------------------------------------------------------------------

  const move = (step) => {
    const links = [...cards.querySelectorAll("a.open")];
    const now = links.findIndex((link) => link.closest("article").contains(document.activeElement));
    const next = now === -1 ? 0 : Math.min(Math.max(0, now + step), links.length - 1);
    links[next]?.focus();
    links[next]?.closest("article").scrollIntoView({ block: "nearest" });
  };

  const press = (name, value) => {
    state[name] = value;
    showState();
    draw();
  };

  const KEYS = {
    ArrowRight: () => move(1),
    ArrowLeft: () => move(-1),
    n: () => step(1),
    p: () => step(-1),
    g: () => goto.focus(),
    v: () => press("view", state.view === "cards" ? "side" : "cards"),
    c: () => press("layer", "counterfactual"),
    d: () => press("layer", "difference"),
    m: () => press("layer", "mask"),
    t: () => window.nextTheme(),
    "/": () => field("find").focus(),
    "?": () => document.querySelector("#keys").togglePopover(),
  };

  document.addEventListener("keydown", (event) => {
    const typing = event.target.closest("input, select, textarea, .scroll");
    if (typing || event.ctrlKey || event.metaKey || event.altKey || !KEYS[event.key]) return;
    event.preventDefault();
    KEYS[event.key]();
  });

  const returning = location.hash.includes("=");
  readAddress();
  showState();
  draw().then(() => {
    if (returning) document.querySelector("#gallery").scrollIntoView({ behavior: "instant" });
  });
  // Anchors such as #runs are no state; a hand-made address is.
  window.addEventListener("hashchange", () => {
    if (!location.hash.includes("=")) return;
    readAddress();
    showState();
    draw();
  });
})();
