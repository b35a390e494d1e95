// {text that is seen: contrast to what is behind it}, as WCAG 2 defines it
const parts = (text) => (text.match(/[\d.]+/g) || [0, 0, 0, 0]).map(Number);
const light = (color) => {
  const [r, g, b] = color.map((c) => c / 255).map((c) => (c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
};
const behind = (e) => {
  for (; e; e = e.parentElement) {
    const color = parts(getComputedStyle(e).backgroundColor);
    if (color.length < 4 || color[3] > 0) return color.slice(0, 3);
  }
  return [255, 255, 255];
};
const found = {};
const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
while (walk.nextNode()) {
  const e = walk.currentNode.parentElement;
  if (!walk.currentNode.textContent.trim() || !e.getClientRects().length) continue;
  if (e.closest("script, :disabled, option")) continue;
  const style = getComputedStyle(e);
  const front = parts(e.closest("svg") ? style.fill : style.color).slice(0, 3);
  const [a, b] = [light(front), light(behind(e.closest("svg") || e))].sort((x, y) => y - x);
  const name = `${e.tagName} ${e.className.baseVal ?? e.className} ${walk.currentNode.textContent.slice(0, 20)}`;
  found[name] = (a + 0.05) / (b + 0.05);
}
return found;
