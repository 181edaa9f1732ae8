"""The style sheet of the HTML page, for wide and narrow screens and for paper."""

CSS = """
:root { --ink: #1f2933; --quiet: #5b6874; --rule: #dfe4e8; --paper: #fff; --shade: #f5f7f9; --accent: #0072b2;
  --yes: #0a6b4b; --no: #b3261e; color-scheme: light; }
* { box-sizing: border-box; }
html { scroll-behavior: smooth; scroll-padding-top: 1rem; }
body { margin: 0; display: grid; grid-template-columns: 15rem minmax(0, 1fr); color: var(--ink);
  background: var(--paper);
  font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; }
nav { position: sticky; top: 0; height: 100vh; overflow-y: auto; padding: 2rem 1.25rem; background: var(--shade);
  border-right: 1px solid var(--rule); font-size: .92rem; }
nav p { margin: 0 0 .8rem; font-weight: 650; }
nav ol { list-style: none; margin: 0; padding: 0; }
nav li { margin: .1rem 0; }
nav a { display: block; padding: .28rem .5rem; border-radius: .3rem; color: var(--quiet); text-decoration: none; }
nav a:hover, nav a:focus { background: var(--rule); color: var(--ink); }
main { max-width: 74rem; padding: 2rem 2.5rem 5rem; }
h1 { margin: 0 0 1rem; font-size: 1.9rem; line-height: 1.2; letter-spacing: -.01em; }
h2 { margin: 3rem 0 .8rem; padding-bottom: .35rem; border-bottom: 1px solid var(--rule); font-size: 1.3rem; }
h3 { margin: 1.3rem 0 .35rem; font-size: .98rem; }
p { max-width: 62rem; margin: .55rem 0; }
section > p { color: var(--quiet); }
#summary { background: var(--shade); border: 1px solid var(--rule); border-left: 4px solid var(--accent);
  border-radius: .4rem; padding: .6rem 1.3rem; }
#summary h2 { display: none; }
#summary p { color: var(--ink); }
#summary p:first-of-type { font-size: 1.2rem; font-weight: 650; }
#summary p:last-child { color: var(--quiet); font-size: .92rem; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-size: .92rem; font-variant-numeric: tabular-nums; }
th, td { padding: .4rem .6rem; border-bottom: 1px solid var(--rule); text-align: left; vertical-align: top; }
thead th { color: var(--quiet); font-weight: 600; border-bottom: 2px solid var(--rule); }
tbody th { font-weight: 400; padding-left: 1.2rem; }
tr.strong > * { font-weight: 650; background: var(--shade); }
tr.strong > th { padding-left: .6rem; }
.number { text-align: right; }
td.yes, td.no, thead th:nth-child(3) { white-space: nowrap; } td.number { white-space: nowrap; }
#results th:first-child { min-width: 13rem; } #results th:nth-child(2) { min-width: 8.5rem; }
td.yes { color: var(--yes); } td.yes::before { content: "✓ "; }
td.no { color: var(--no); } td.no::before { content: "✗ "; }
td.fault { color: var(--no); font-weight: 400; max-width: 15rem; overflow-wrap: anywhere; }
figure { margin: 1rem 0; }
figure img { display: block; max-width: 100%; height: auto; background: #fff; }
img.pixels { width: 100%; max-width: 66rem; image-rendering: auto; }
figcaption { margin-top: .4rem; color: var(--quiet); font-size: .9rem; max-width: 62rem; }
dl { display: grid; grid-template-columns: minmax(9rem, 17rem) minmax(0, 1fr); gap: .45rem 1.2rem; font-size: .92rem; }
dt { font-weight: 600; overflow-wrap: anywhere; } dd { margin: 0; overflow-wrap: anywhere; }
pre { margin: 0; padding: .6rem .8rem; background: var(--shade); border: 1px solid var(--rule); border-radius: .35rem;
  font: .82rem/1.5 ui-monospace, SFMono-Regular, Menlo, "DejaVu Sans Mono", monospace; white-space: pre-wrap;
  overflow-wrap: anywhere; }
ol.members { padding-left: 2.1rem; columns: 30rem 2; column-gap: 2.5rem; }
ol.members li { break-inside: avoid; margin: 0 0 1rem; padding-left: .3rem; }
ol.members p { margin: .2rem 0; font-size: .92rem; }
.label { padding: .05rem .45rem; border-radius: .3rem; background: var(--shade); border: 1px solid var(--rule);
  font-size: .85rem; }
.soft { color: var(--quiet); font-size: .85rem; margin-left: .4rem; }
details { font-size: .92rem; } summary { color: var(--accent); cursor: pointer; }
@media (max-width: 60rem) {
  body { display: block; } main { padding: 1.2rem; }
  nav { position: static; height: auto; padding: 1rem 1.2rem; } nav ol { columns: 2; }
}
@media print {
  body { display: block; font-size: 10.5pt; } nav { display: none; } main { max-width: none; padding: 0; }
  h2 { break-after: avoid; } figure, tr, pre, ol.members li { break-inside: avoid; } .wide { overflow: visible; }
  a { color: inherit; }
}
"""
