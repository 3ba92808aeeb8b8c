"use strict";
(() => {
  const figures = JSON.parse(document.getElementById("figures").textContent);
  const coarse = matchMedia("(pointer: coarse)").matches;
  const narrow = matchMedia("(max-width: 48rem)");

  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

  // What follows the page: colours of text and grid, room for labels.
  function looks(element) {
    const names = (element.layout.annotations || []).map((_, at) => [`annotations[${at}].bgcolor`, colour("--card")]);
    const [ink, soft, grid, card] = ["--ink", "--soft", "--grid", "--card"].map(colour);
    const axis = (name) => ({
      [`${name}.gridcolor`]: grid, [`${name}.linecolor`]: grid, [`${name}.tickfont.color`]: soft,
      [`${name}.title.font.color`]: soft, [`${name}.title.font.size`]: 12,
    });
    return {
      paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
      "font.color": ink, "font.size": narrow.matches ? 11 : 12, "font.family": getComputedStyle(document.body).fontFamily,
      "legend.font.color": ink, "legend.bgcolor": "rgba(0,0,0,0)",
      "hoverlabel.bgcolor": card, "hoverlabel.bordercolor": grid, "hoverlabel.font.color": ink,
      ...axis("xaxis"), ...axis("yaxis"), ...Object.fromEntries(names),
    };
  }

  const drawn = [];
  for (const element of document.querySelectorAll(".plot")) {
    const figure = figures[element.dataset.figure];
    const layout = { ...figure.layout, autosize: true, dragmode: coarse ? false : "zoom" };
    drawn.push(element);
    Plotly.newPlot(element, figure.data, layout, {
      responsive: true, displaylogo: false, displayModeBar: false,
    }).then(() => Plotly.relayout(element, looks(element)));
  }

  const restyle = () => drawn.forEach((element) => Plotly.relayout(element, looks(element)));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", restyle);
  narrow.addEventListener("change", restyle);
  addEventListener("beforeprint", () => drawn.forEach((element) => {
    Plotly.relayout(element, { ...looks(element), width: 680, height: 250 });
  }));
  addEventListener("afterprint", () => drawn.forEach((element) => {
    Plotly.relayout(element, { ...looks(element), width: null, height: null, autosize: true });
  }));
})();
