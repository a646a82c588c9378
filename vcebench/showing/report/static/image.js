// The page of an image: one slider for the steps of all methods, and keys.
"use strict";

(() => {
  // ---- the way through the selection made in the gallery ----------------------------------

  const stored = (key) => {
    try {
      return sessionStorage.getItem(key);
    } catch {
      return null;
    }
  };
  const link = (relation) => document.querySelector(`a[rel=${relation}]`);
  const hash = stored("vcebench-gallery");
  if (hash) {
    for (const back of document.querySelectorAll("a[data-back]")) {
      back.href = back.href.replace(/#.*/, hash);
    }
  }

  const follow = () => {
    let order;
    try {
      order = JSON.parse(stored("vcebench-order"));
    } catch {
      return;
    }
    const here = location.pathname.split("/").pop().replace(".html", "");
    const names = Array.isArray(order?.names) ? order.names : [];
    const now = names.indexOf(here);
    if (now === -1) return;
    const place = (order.first + now + 1).toLocaleString("en");
    document.querySelector("#position").textContent =
      `${place} of ${order.total.toLocaleString("en")}`;
    for (const [relation, other] of [
      ["prev", names[now - 1]],
      ["next", names[now + 1]],
    ]) {
      const steps = document.querySelector(".steps");
      let found = link(relation);
      if (!other) {
        found?.remove();
        continue;
      }
      if (!found) {
        found = document.createElement("a");
        found.rel = relation;
        found.textContent = relation === "prev" ? "← Previous" : "Next →";
        if (relation === "prev") steps.prepend(found);
        else steps.append(found);
      }
      found.href = `${encodeURIComponent(other)}.html`;
    }
  };
  follow();

  // ---- slider -----------------------------------------------------------------------------

  const slider = document.querySelector("#step");
  const films = [...document.querySelectorAll("[data-film]")].map((element) => ({
    indices: element.dataset.indices.split(","),
    columns: Number(element.dataset.columns),
    frames: [...element.querySelectorAll(".frame")],
    note: element.querySelector(".film-index"),
  }));

  for (const film of films) {
    const lines = Math.ceil(film.indices.length / film.columns);
    for (const frame of film.frames) {
      frame.style.aspectRatio = frame.dataset.ratio;
      frame.style.backgroundImage = `url("${frame.dataset.src}")`;
      frame.style.backgroundSize = `${film.columns * 100}% ${lines * 100}%`;
    }
  }

  const share = (position, count) => (count > 1 ? (100 * position) / (count - 1) : 0);

  const show = (step) => {
    document.querySelector("#at").textContent = String(step + 1);
    for (const film of films) {
      const last = film.indices.length - 1;
      const at = Math.min(step, last);
      const lines = Math.ceil(film.indices.length / film.columns);
      const x = share(at % film.columns, film.columns);
      const y = share(Math.floor(at / film.columns), lines);
      for (const frame of film.frames) {
        frame.style.backgroundPosition = `${x}% ${y}%`;
        frame.setAttribute("aria-label", `${frame.dataset.alt}, step ${at + 1}`);
      }
      const ended = step > last ? ", finished" : "";
      film.note.textContent = `step ${at + 1} of ${last + 1}, index ${film.indices[at]}${ended}`;
    }
  };

  let timer = null;
  const play = document.querySelector("#play");
  const stop = () => {
    clearInterval(timer);
    timer = null;
    if (play) play.textContent = "Play";
  };
  const go = (step) => {
    const last = Number(slider.max);
    slider.value = String(Math.min(Math.max(0, step), last));
    show(Number(slider.value));
  };
  const start = () => {
    if (Number(slider.value) === Number(slider.max)) go(0);
    play.textContent = "Pause";
    timer = setInterval(() => {
      go(Number(slider.value) + 1);
      if (Number(slider.value) === Number(slider.max)) stop();
    }, 120);
  };

  if (slider) {
    slider.addEventListener("input", () => {
      stop();
      show(Number(slider.value));
    });
    play.addEventListener("click", () => (timer ? stop() : start()));
    show(Number(slider.value));
  }

  // ---- input under the counterfactual -----------------------------------------------------

  const input = document.querySelector(".lead img");
  const swapped = (on) => {
    for (const photo of document.querySelectorAll(".swap img")) {
      photo.dataset.own ??= photo.getAttribute("src");
      photo.src = on ? input.getAttribute("src") : photo.dataset.own;
      photo.nextElementSibling.textContent = on ? "Input" : "Counterfactual";
    }
  };
  for (const photo of document.querySelectorAll(".swap img")) {
    photo.addEventListener("pointerdown", () => swapped(true));
    for (const end of ["pointerup", "pointerleave", "pointercancel"]) {
      photo.addEventListener(end, () => swapped(false));
    }
  }

  // ---- keys -------------------------------------------------------------------------------

  const KEYS = {
    ArrowLeft: () => link("prev")?.click(),
    ArrowRight: () => link("next")?.click(),
    Escape: () => document.querySelector(".crumbs a[data-back]").click(),
    ",": () => slider && (stop(), go(Number(slider.value) - 1)),
    ".": () => slider && (stop(), go(Number(slider.value) + 1)),
    x: () => swapped(true),
    t: () => window.nextTheme(),
  };
  document.addEventListener("keydown", (event) => {
    const own = event.target === slider && event.key.startsWith("Arrow");
    if (own || event.ctrlKey || event.metaKey || event.altKey || !KEYS[event.key]) return;
    event.preventDefault();
    KEYS[event.key]();
  });
  document.addEventListener("keyup", (event) => {
    if (event.key === "x") swapped(false);
  });
})();
