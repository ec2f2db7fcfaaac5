# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The style of ``report.html``: light and dark, for screens and paper, without external resources."""

from __future__ import annotations

CSS = """
:root { color-scheme: light dark;
  --page: #f4f5f7; --card: #ffffff; --ink: #1b2330; --soft: #5b6675; --line: #dfe3e8; --code: #f0f2f5;
  --good: #1a7f4b; --good-bg: #e3f4ea; --bad: #b3261e; --bad-bg: #fce8e6; --warn: #9a6700; --warn-bg: #fff3d1;
  --bar: #3b6fb6; --past: #c9d0d8; }
@media (prefers-color-scheme: dark) { :root {
  --page: #12161c; --card: #1b212a; --ink: #e6eaf0; --soft: #9aa7b7; --line: #303945; --code: #232b36;
  --good: #5fd196; --good-bg: #14352a; --bad: #ff8a80; --bad-bg: #43201f; --warn: #e3b341; --warn-bg: #3a3115;
  --bar: #6ea0e6; --past: #465160; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--ink);
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", "DejaVu Sans", sans-serif; }
main { max-width: 1120px; margin: 0 auto; padding: 28px 24px 48px; }
h1 { font-size: 30px; line-height: 1.2; margin: 6px 0 8px; letter-spacing: -.01em; }
h2 { font-size: 20px; margin: 36px 0 12px; }
h3 { font-size: 16px; margin: 22px 0 8px; }
p { margin: 0 0 10px; }
.kicker { color: var(--soft); font-size: 13px; letter-spacing: .06em; text-transform: uppercase; }
.lead { font-size: 17px; max-width: 60em; }
.soft, .how, .what { color: var(--soft); }
.badge { display: inline-block; padding: 2px 12px; border-radius: 999px; font-weight: 700; font-size: 14px;
  letter-spacing: .05em; }
.badge.good { color: var(--good); background: var(--good-bg); }
.badge.bad { color: var(--bad); background: var(--bad-bg); }
.card { background: var(--card); border: 1px solid var(--line); border-radius: 10px; padding: 18px 20px;
  margin: 0 0 18px; }
.card > :first-child { margin-top: 0; }
.card > :last-child { margin-bottom: 0; }
.failure { border-color: var(--bad); }
.tiles { display: grid; grid-template-columns: repeat(4, 1fr); gap: 14px; margin: 22px 0 8px; }
.tile { background: var(--card); border: 1px solid var(--line); border-top: 4px solid var(--good);
  border-radius: 10px; padding: 14px 16px; }
.tile.bad { border-top-color: var(--bad); }
.tile.none { border-top-color: var(--past); }
.tile b { display: block; font-size: 27px; line-height: 1.25; letter-spacing: -.01em; }
.tile .name { font-weight: 600; font-size: 13px; }
.tile .note { color: var(--soft); font-size: 13px; line-height: 1.4; }
table { width: 100%; border-collapse: collapse; font-size: 14px; font-variant-numeric: tabular-nums; }
th { text-align: left; font-weight: 600; font-size: 12px; color: var(--soft); border-bottom: 1px solid var(--line);
  padding: 4px 10px 6px 0; }
td { vertical-align: top; border-bottom: 1px solid var(--line); padding: 7px 10px 7px 0; overflow-wrap: anywhere; }
tbody tr:last-child td { border-bottom: 0; }
.num td:nth-child(n+2), .num th:nth-child(n+2) { text-align: right; white-space: nowrap; }
.phases td:nth-child(n+2):nth-child(-n+5), .phases th:nth-child(n+2):nth-child(-n+5) { text-align: right;
  white-space: nowrap; }
.phases td:last-child { width: 30%; }
.phases tr.total td { font-weight: 600; }
.checks td:first-child { width: 26px; font-weight: 700; }
.checks td:nth-child(2) { width: 42%; }
.checks td:nth-child(3), .checks td:nth-child(4) { width: 28%; }
.good-ink { color: var(--good); } .bad-ink { color: var(--bad); }
.how { display: block; font: 11.5px/1.45 ui-monospace, "SF Mono", Menlo, Consolas, "DejaVu Sans Mono", monospace;
  margin-top: 2px; }
.what { display: block; font-size: 12.5px; line-height: 1.4; }
.track { position: relative; height: 12px; margin-top: 5px; background: var(--code); border-radius: 3px; }
.track i { position: absolute; top: 0; bottom: 0; min-width: 2px; background: var(--bar); border-radius: 3px; }
.two .card { margin: 0; }
.facts { display: grid; grid-template-columns: max-content 1fr; gap: 5px 18px; margin: 0; font-size: 14px; }
.facts dt { color: var(--soft); }
.facts dd { margin: 0; overflow-wrap: anywhere; }
.two { display: grid; grid-template-columns: 1fr 1fr; gap: 18px; align-items: start; }
.story { list-style: none; margin: 14px 0 0; padding: 0; font-size: 14px; }
.story li { display: grid; grid-template-columns: 26px 110px 80px 1fr; gap: 10px; padding: 3px 0;
  font-variant-numeric: tabular-nums; }
.story .mark { width: 20px; height: 20px; border-radius: 50%; background: var(--past); color: var(--ink);
  font-size: 11px; font-weight: 700;
  text-align: center; line-height: 20px; }
.story .mark.disaster, .story .mark.drop { background: var(--bad); color: var(--card); }
.story .mark.open { background: var(--good); color: var(--card); }
pre, code { font-family: ui-monospace, "SF Mono", Menlo, Consolas, "DejaVu Sans Mono", monospace; font-size: 12.5px; }
pre { background: var(--code); border-radius: 6px; padding: 10px 12px; margin: 0 0 12px; white-space: pre-wrap;
  overflow-wrap: anywhere; }
details { margin: 8px 0 0; }
summary { cursor: pointer; font-weight: 600; font-size: 14px; }
.lost { columns: 3; column-gap: 24px; font: 12px/1.6 ui-monospace, Menlo, Consolas, "DejaVu Sans Mono", monospace;
  margin-top: 8px; }
.lost div { break-inside: avoid; }
svg { display: block; width: 100%; height: auto; }
svg text { font: 12px system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; fill: var(--soft); }
svg text { paint-order: stroke; stroke: var(--card); stroke-width: 4px; }
svg .label { fill: var(--ink); font-weight: 600; }
svg .kept { fill: var(--good); } svg .gone { fill: var(--bad); } svg .given { fill: var(--past); }
svg path { fill: none; }
svg .tick { stroke: var(--soft); stroke-width: 1; stroke-dasharray: 2 3; } svg .tick.red { stroke: var(--bad);
  stroke-dasharray: none; }
svg .dot { fill: var(--soft); } svg .dot.red { fill: var(--bad); } svg .dot-text { fill: var(--card); stroke: none;
  font-size: 11px; font-weight: 700; }
footer { color: var(--soft); font-size: 13px; margin-top: 28px; }
@media (max-width: 860px) { .tiles { grid-template-columns: 1fr 1fr; } .two { grid-template-columns: 1fr; } .lost {
  columns: 1; }
  .story li { grid-template-columns: 26px 100px 1fr; } .story li span:nth-child(3) { display: none; } }
@media print { :root { --page: #fff; --line: #ccc; } body { font-size: 11pt; } main { max-width: none; padding: 0; }
  .card, .tile, tr, li { break-inside: avoid; } h2, h3 { break-after: avoid; }
  * { -webkit-print-color-adjust: exact; print-color-adjust: exact; } }
"""
