"""Labels of axes as pieces of text with their level."""

from __future__ import annotations

import pytest

from pocket_coffea.report.labels import plain, runs_of


@pytest.mark.parametrize(
    ("label", "expected"),
    [
        ("plain text", [("plain text", 0)]),
        (r"$p_{T}^{\mu}$ [GeV]", [("p", 0), ("T", -1), ("μ", 1), (" [GeV]", 0)]),
        (r"$p_T^\mu$", [("p", 0), ("T", -1), ("μ", 1)]),
        (r"$t\bar{t}$", [("tt̄", 0)]),
        (r"$Z/\gamma^* \to \ell\ell$", [("Z/γ", 0), ("*", 1), (" →ℓℓ", 0)]),
        (r"59.8 fb$^{-1}$, 2018", [("59.8 fb", 0), ("-1", 1), (", 2018", 0)]),
        (r"$\mathrm{E}_T^{miss}$", [("E", 0), ("T", -1), ("miss", 1)]),
        (r"$a\,b$, 5 \%", [("a b, 5 %", 0)]),
        (r"$f(a,b)$", [("f(a,b)", 0)]),
        (r"costs \$5", [("costs $5", 0)]),
        (r"$\unheard x$", [("unheardx", 0)]),
        ("", []),
    ],
)
def test_mathematics_becomes_text(label, expected):
    assert runs_of(label) == expected


@pytest.mark.parametrize("label", ["$", "$a", "$_$", "${$", "$}$", "$^{^{$", "$\\$", "$\\bar$", "$a_{b$ c"])
def test_what_does_not_balance_does_no_harm(label):
    assert isinstance(plain(label), str)
