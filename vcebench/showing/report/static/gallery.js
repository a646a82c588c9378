// The gallery: filters, orders, pages and keys over the data embedded in the page.
"use strict";

(() => {
  const PAGE = 24;
  const { card, make } = window.Cards;
  const data = JSON.parse(document.querySelector("#data").textContent);
  const labels = data.runs.map((run) => run.label);
  const form = document.querySelector("#filters");
  const cards = document.querySelector("#cards");
  const pager = document.querySelector("#pager");
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
    if (!data.subjects[state.subject]) state.subject = "0";
  };

  const writeAddress = () => {
    const wanted = new URLSearchParams();
    for (const [name, value] of Object.entries(state)) {
      if (value !== DEFAULTS[name]) wanted.set(name, value);
    }
    const hash = wanted.toString();
    history.replaceState(null, "", hash ? `#${hash}` : location.pathname.split("/").pop());
  };

  // ---- which images, in which order -------------------------------------------------------

  const hidden = () => new Set(state.hide.split(",").filter((part) => part !== ""));
  const visible = (image) => {
    const without = hidden();
    return image.results.filter((one) => !without.has(String(one.run)));
  };
  const judged = (image) =>
    state.run === "any"
      ? visible(image)
      : image.results.filter((one) => String(one.run) === state.run);

  const wanted = (image) => {
    if (String(image.subject) !== state.subject) return false;
    if (state.input !== "all" && image.correct !== (state.input === "correct")) return false;
    if (state.find && !image.id.toLowerCase().includes(state.find.toLowerCase())) return false;
    const results = judged(image);
    if (state.outcome === "flipped") return results.some((one) => one.flipped);
    if (state.outcome === "missed") return results.some((one) => !one.flipped);
    return state.run === "any" || results.length > 0;
  };

  // The worst value of the judged runs, turned so that larger is worse; null without a value.
  const badness = (image, order) => {
    const found = judged(image)
      .map((one) => one.values[order.id])
      .filter((value) => value !== null && value !== undefined);
    if (!found.length) return null;
    return order.higher ? -Math.min(...found) : Math.max(...found);
  };

  const chosen = () => {
    const found = data.images.filter(wanted);
    const order = data.orders.find((one) => one.id === state.order);
    if (!order) return found;
    return found
      .map((image) => [badness(image, order), image])
      .sort(([a], [b]) => (a === null) - (b === null) || b - a)
      .map(([, image]) => image);
  };

  // ---- drawing ----------------------------------------------------------------------------

  const remember = (images) => {
    // Lets the page of an image lead through the same selection, and back to it.
    try {
      sessionStorage.setItem("vcebench-order", JSON.stringify(images.map((image) => image.name)));
      sessionStorage.setItem("vcebench-gallery", location.hash);
    } catch {
      // Without storage the pages lead through all images.
    }
  };

  const draw = () => {
    const found = chosen();
    const pages = Math.max(1, Math.ceil(found.length / PAGE));
    const page = Math.min(Math.max(1, Number(state.page) || 1), pages);
    state.page = String(page);
    const part = found.slice((page - 1) * PAGE, page * PAGE);
    cards.className = `cards ${state.view} layer-${state.layer}`;
    cards.replaceChildren(...part.map((image) => card(image, visible(image), labels)));
    if (!part.length) cards.append(make("p", { class: "empty" }, "No image fits these filters."));
    document.querySelector("#count").textContent =
      `${found.length.toLocaleString("en")} of ${ofSubject().toLocaleString("en")} images`;
    document.querySelector("#page").textContent = `Page ${page} of ${pages}`;
    pager.hidden = pages < 2;
    const [before, after] = pager.querySelectorAll("button");
    before.disabled = page === 1;
    after.disabled = page === pages;
    document.querySelector("#layer").hidden = state.view !== "side";
    writeAddress();
    remember(found);
  };

  const ofSubject = () =>
    data.images.filter((image) => String(image.subject) === state.subject).length;

  const change = (values) => {
    state = { ...state, page: "1", ...values };
    draw();
  };

  // ---- controls ---------------------------------------------------------------------------

  const option = (value, text) => make("option", { value }, text);

  const fillControls = () => {
    const runs = data.runs
      .map((run, number) => ({ ...run, number }))
      .filter((run) => String(run.subject) === state.subject);
    field("run").replaceChildren(
      option("any", runs.length > 1 ? "any method" : "the method"),
      ...runs.map((run) => option(run.number, run.label)),
    );
    field("order").replaceChildren(
      option("index", "as in the data set"),
      ...data.orders.map((order) => option(order.id, `worst ${order.title}`)),
    );
    const methods = document.querySelector("#methods");
    const boxes = runs.map((run) => {
      const box = make("input", { type: "checkbox", value: run.number });
      box.checked = !hidden().has(String(run.number));
      return make("label", {}, box, make("span", {}, run.label));
    });
    methods.replaceChildren(methods.querySelector("legend"), ...boxes);
    methods.hidden = runs.length < 2;
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

  const turn = (step) => {
    const before = state.page;
    change({ page: String(Number(state.page) + step) });
    if (state.page !== before) document.querySelector("#gallery").scrollIntoView();
  };
  pager.addEventListener("click", (event) => {
    const step = event.target.dataset.step;
    if (step) turn(Number(step));
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
    n: () => turn(1),
    p: () => turn(-1),
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
  draw();
  if (returning) document.querySelector("#gallery").scrollIntoView({ behavior: "instant" });
  // Anchors such as #runs are no state; a hand-made address is.
  window.addEventListener("hashchange", () => {
    if (!location.hash.includes("=")) return;
    readAddress();
    showState();
    draw();
  });
})();
