// How one image is drawn in the gallery. Only text nodes and attributes are set, never markup, so
// whatever an image or a method is called stays text.
"use strict";

window.Cards = (() => {
  const make = (tag, attributes = {}, ...children) => {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
      if (value !== null && value !== undefined) element.setAttribute(name, value);
    }
    element.append(...children);
    return element;
  };

  const picture = (image, file, alt, kind) =>
    make("img", {
      src: `pictures/${image.name}/${file}`,
      width: image.size[0],
      height: image.size[1],
      alt,
      class: kind === "counterfactual" ? "photo" : "map",
      loading: "lazy",
      decoding: "async",
    });

  const figure = (kind, caption, content) =>
    make("figure", { class: kind }, content, make("figcaption", {}, caption));

  const ALT = {
    counterfactual: (image, label) =>
      `Counterfactual of ${image.id} by ${label}, target ${image.target}`,
    difference: (image, label) => `Difference of ${image.id} by ${label}`,
    mask: (image, label) => `Final masks of ${image.id} by ${label}`,
    region: (image, label) => `Region of ${image.id} by ${label}`,
  };
  // The soft hyphen lets the longest word break under a narrow picture.
  const CAPTION = { counterfactual: "Counter\u00adfactual", difference: "Difference", mask: "Mask" };

  const result = (image, one, label) => {
    const verdict = () => {
      if (one.already) return "already target";
      if (!one.finite) return "no result";
      if (one.flipped === null) return "flip not known";
      return one.flipped ? "flipped" : "not flipped";
    };
    const head = make(
      "p",
      { class: "head" },
      make("b", {}, label),
      make("span", { class: `verdict ${one.flipped ? "yes" : "no"}` }, verdict()),
    );
    if (one.probability !== null) {
      const p = make("span", { class: "muted", title: "probability of the target" });
      p.append(`p ${one.probability.toFixed(2)}`);
      head.append(p);
    }
    const strip = make("div", { class: "strip" });
    for (const kind of Object.keys(CAPTION)) {
      // A method without masks may still have had to keep to a region.
      const shown = kind === "mask" && !one.pictures.mask && one.pictures.region ? "region" : kind;
      const file = one.pictures[shown];
      const content = file
        ? picture(image, file, ALT[shown](image, label), kind)
        : make("span", { class: "none" }, kind === "mask" && one.finite ? "no mask" : "none");
      strip.append(figure(kind, shown === "region" ? "Region" : CAPTION[kind], content));
    }
    return make("div", { class: "result", "data-run": one.run }, head, strip);
  };

  /** One card; `runs` are the results to show, `labels` the names of all runs. */
  const card = (image, runs, labels) => {
    const link = make("a", { class: "open", href: `images/${image.name}.html` }, image.id);
    const turn = make("span", { class: "turn" }, `${image.source} → ${image.target}`);
    const head = make("header", {}, link, turn);
    const alt = `Input ${image.id}: ${image.source}`;
    const input = figure("input", "Input", picture(image, image.input, alt, "counterfactual"));
    if (image.wrong) {
      const wrong = make("span", { class: "aside" }, `label: ${image.label}`);
      input.querySelector("figcaption").append(wrong);
    }
    const given = make("div", { class: "given" }, input);
    if (image.truth) {
      const words = `True counterfactual of ${image.id}: ${image.target}`;
      given.append(figure("truth", "Truth", picture(image, image.truth, words, "counterfactual")));
    }
    const results = make("div", { class: "results" });
    results.append(...runs.map((one) => result(image, one, labels[one.run])));
    const article = make("article", { class: "card", "data-name": image.name }, head);
    article.append(make("div", { class: "body" }, given, results));
    return article;
  };

  return { card, make };
})();
