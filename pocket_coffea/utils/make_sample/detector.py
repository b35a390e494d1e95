"""From generator particles to reconstructed leptons, jets and missing momentum.

Collections are ``Jagged``: per-event counts and flat fields. Resolutions and efficiencies are
round numbers of the size that CMS publishes; they only have to make plots look like physics.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from pocket_coffea.types import BoolArray, FloatArray, IntArray
from pocket_coffea.utils.make_sample.kinematics import eta_of, mass_of, phi_of, pt_of, wrap_phi
from pocket_coffea.utils.make_sample.processes import GeneratedEvents

__all__ = ["Jagged", "Reconstruction", "reconstruct"]

ISR_JETS = {"dy": 0.6, "ttbar": 0.9}


@dataclass
class Jagged:
    """A collection: ``event`` (n_objects,) is the event of each object, sorted; ``fields`` are flat."""

    n_events: int
    event: IntArray
    fields: dict[str, Any] = field(default_factory=dict)

    @property
    def counts(self) -> IntArray:
        """Number of objects per event, (n_events,)."""
        return np.bincount(self.event, minlength=self.n_events)

    def __len__(self) -> int:
        return len(self.event)

    def sorted_by_pt(self) -> Jagged:
        """Return the collection ordered by event, then by descending pt."""
        order = np.lexsort((-self.fields["pt"], self.event))
        return Jagged(self.n_events, self.event[order], {k: v[order] for k, v in self.fields.items()})

    def select(self, keep: BoolArray) -> Jagged:
        """Return the objects where ``keep`` (n_objects,) holds."""
        return Jagged(self.n_events, self.event[keep], {k: v[keep] for k, v in self.fields.items()})

    def select_events(self, keep: BoolArray) -> Jagged:
        """Return the whole events where ``keep`` (n_events,) holds."""
        chosen = self.select(keep[self.event])
        renumbered = np.cumsum(keep) - 1
        return Jagged(int(keep.sum()), renumbered[chosen.event], chosen.fields)

    @staticmethod
    def concatenate(parts: list[Jagged], order: IntArray) -> Jagged:
        """Join collections event-wise; event ``order[i]`` of the joined one comes to place ``i``."""
        offsets = np.cumsum([0, *(part.n_events for part in parts)])
        event = np.concatenate([part.event + start for part, start in zip(parts, offsets[:-1], strict=True)])
        place = np.empty_like(order)
        place[order] = np.arange(len(order))
        by_event = np.argsort(place[event], kind="stable")
        fields = {name: np.concatenate([part.fields[name] for part in parts]) for name in parts[0].fields}
        return Jagged(len(order), place[event][by_event], {k: v[by_event] for k, v in fields.items()})

    def position(self) -> IntArray:
        """Index of each object within its event, (n_objects,)."""
        starts = np.concatenate([[0], np.cumsum(self.counts)])[:-1]
        return np.arange(len(self)) - starts[self.event]


@dataclass
class Reconstruction:
    """What the detector saw: jagged collections, missing momentum (n, 2) and pile-up (n,)."""

    muons: Jagged
    electrons: Jagged
    jets: Jagged
    gen_jets: Jagged
    met: FloatArray
    true_pileup: FloatArray
    n_vertices: IntArray

    def __len__(self) -> int:
        return len(self.met)

    def select_events(self, keep: BoolArray) -> Reconstruction:
        """Return the events where ``keep`` (n_events,) holds."""
        return Reconstruction(
            muons=self.muons.select_events(keep),
            electrons=self.electrons.select_events(keep),
            jets=self.jets.select_events(keep),
            gen_jets=self.gen_jets.select_events(keep),
            met=self.met[keep],
            true_pileup=self.true_pileup[keep],
            n_vertices=self.n_vertices[keep],
        )

    @staticmethod
    def concatenate(parts: list[Reconstruction], order: IntArray | None = None) -> Reconstruction:
        """Join samples; event ``order[i]`` of the joined sample comes to place ``i``."""
        if order is None:
            order = np.arange(sum(len(part) for part in parts))
        return Reconstruction(
            muons=Jagged.concatenate([part.muons for part in parts], order),
            electrons=Jagged.concatenate([part.electrons for part in parts], order),
            jets=Jagged.concatenate([part.jets for part in parts], order),
            gen_jets=Jagged.concatenate([part.gen_jets for part in parts], order),
            met=np.concatenate([part.met for part in parts])[order],
            true_pileup=np.concatenate([part.true_pileup for part in parts])[order],
            n_vertices=np.concatenate([part.n_vertices for part in parts])[order],
        )


def _particles(gen: GeneratedEvents, pick: BoolArray) -> Jagged:
    """Flatten the generator particles where ``pick`` (n, k) holds."""
    event, index = np.nonzero(pick)
    p4 = gen.p4[event, index]
    return Jagged(
        len(gen),
        event,
        {
            "pt": pt_of(p4),
            "eta": eta_of(p4),
            "phi": phi_of(p4),
            "mass": mass_of(p4),
            "pdgId": gen.pdg_id[event, index],
            "genPartIdx": index,
        },
    )


def _smear_pt(rng: np.random.Generator, pt: FloatArray, relative: FloatArray | float) -> FloatArray:
    return pt * np.clip(rng.normal(1.0, relative, len(pt)), 0.2, 2.5)


def _leptons(rng: np.random.Generator, gen: GeneratedEvents, flavour: int, soft_rate: float) -> Jagged:
    """Prompt leptons within acceptance plus soft non-prompt ones, ordered by pt."""
    max_eta, efficiency = (2.4, 0.96) if flavour == 13 else (2.5, 0.88)
    prompt = _particles(gen, (np.abs(gen.pdg_id) == flavour) & (gen.status == 1))
    seen = (np.abs(prompt.fields["eta"]) < max_eta) & (rng.uniform(size=len(prompt)) < efficiency)
    prompt = prompt.select(seen & (prompt.fields["pt"] > 4))
    resolution = 0.013 if flavour == 13 else 0.022
    prompt.fields["pt"] = _smear_pt(rng, prompt.fields["pt"], resolution)
    n_soft = rng.poisson(soft_rate, len(gen))
    total = int(n_soft.sum())
    event = np.concatenate([prompt.event, np.repeat(np.arange(len(gen)), n_soft)])
    charge = rng.choice([-1, 1], total)
    fake = {
        "pt": 3 + rng.exponential(6.0, total),
        "eta": rng.uniform(-max_eta, max_eta, total),
        "phi": rng.uniform(-np.pi, np.pi, total),
        "mass": np.full(total, 0.1057 if flavour == 13 else 0.0005),
        "pdgId": -charge * flavour,
        "genPartIdx": np.full(total, -1),
    }
    fields = {name: np.concatenate([prompt.fields[name], fake[name]]) for name in fake}
    is_prompt = np.arange(len(event)) < len(prompt)
    n = len(event)
    isolation = np.where(is_prompt, rng.exponential(0.035, n), rng.exponential(0.6, n))
    fields |= {
        "charge": -np.sign(fields["pdgId"]),
        "iso": isolation,
        "prompt": is_prompt,
        "good": rng.uniform(size=n) < np.where(is_prompt, 0.95, 0.25),
        "dxy": rng.normal(0, np.where(is_prompt, 0.003, 0.02), n),
        "dz": rng.normal(0, np.where(is_prompt, 0.006, 0.04), n),
    }
    return Jagged(len(gen), event, fields).sorted_by_pt()


def _isr_jets(rng: np.random.Generator, n: int, rate: float) -> tuple[Jagged, IntArray]:
    """Jets from radiation: mostly light, a few charm and bottom."""
    counts = rng.poisson(rate, n)
    total = int(counts.sum())
    flavour = rng.choice([21, 1, 2, 3, 4, 5], total, p=[0.5, 0.14, 0.14, 0.1, 0.08, 0.04])
    fields = {
        "pt": 15 + rng.exponential(24.0, total) * np.exp(rng.normal(0, 0.35, total)),
        "eta": np.clip(rng.normal(0, 1.9, total), -4.7, 4.7),
        "phi": rng.uniform(-np.pi, np.pi, total),
        "mass": rng.gamma(3, 2.5, total),
    }
    return Jagged(n, np.repeat(np.arange(n), counts), fields), flavour


def _b_score(rng: np.random.Generator, flavour: IntArray) -> FloatArray:
    """Tagger score in [0, 1] by hadron flavour: about 80 % of b jets and 12 % of c jets above 0.28."""
    n = len(flavour)
    light = rng.beta(0.5, 9.0, n)
    charm = rng.beta(1.1, 5.0, n)
    bottom = rng.beta(1.9, 0.7, n)
    return np.where(flavour == 5, bottom, np.where(flavour == 4, charm, light))


def _jets(
    rng: np.random.Generator, gen: GeneratedEvents, rate: float, pileup: FloatArray
) -> tuple[Jagged, Jagged]:
    """Return (jets, generator jets): quarks of the hard process, radiation and pile-up jets."""
    quark = (np.abs(gen.pdg_id) <= 5) & (gen.status == 23)
    hard = _particles(gen, quark)
    radiated, radiated_flavour = _isr_jets(rng, len(gen), rate)
    fields = {
        name: np.concatenate([hard.fields[name], radiated.fields[name]])
        for name in ("pt", "eta", "phi", "mass")
    }
    fields["partonFlavour"] = np.concatenate([hard.fields["pdgId"], radiated_flavour])
    absolute = np.abs(fields["partonFlavour"])
    fields["hadronFlavour"] = np.where((absolute == 4) | (absolute == 5), absolute, 0)
    fields["mass"] = np.maximum(fields["mass"], 0.1 * fields["pt"] * rng.uniform(0.5, 1.5, len(absolute)))
    gen_jets = Jagged(len(gen), np.concatenate([hard.event, radiated.event]), fields)
    gen_jets = gen_jets.select((np.abs(fields["eta"]) < 4.7) & (fields["pt"] > 10)).sorted_by_pt()
    matched = Jagged(gen_jets.n_events, gen_jets.event, dict(gen_jets.fields))
    matched.fields["genJetIdx"] = gen_jets.position()
    n = len(matched)
    matched.fields["pt"] = _smear_pt(rng, matched.fields["pt"], 0.08 + 0.8 / np.sqrt(matched.fields["pt"]))
    matched.fields["eta"] = matched.fields["eta"] + rng.normal(0, 0.01, n)
    matched.fields["phi"] = wrap_phi(matched.fields["phi"] + rng.normal(0, 0.01, n))
    fakes, _ = _isr_jets(rng, len(gen), float(0.03 * pileup.mean()))
    n_fake = len(fakes)
    fakes.fields["pt"] = 10 + rng.exponential(7.0, n_fake)
    fakes.fields |= {
        "partonFlavour": np.zeros(n_fake, int),
        "hadronFlavour": np.zeros(n_fake, int),
        "genJetIdx": np.full(n_fake, -1),
    }
    event = np.concatenate([matched.event, fakes.event])
    jets = {name: np.concatenate([matched.fields[name], fakes.fields[name]]) for name in matched.fields}
    jets["btag"] = _b_score(rng, jets["hadronFlavour"])
    both = Jagged(len(gen), event, jets)
    return both.select(jets["pt"] > 15).sorted_by_pt(), gen_jets


def _missing_momentum(rng: np.random.Generator, gen: GeneratedEvents) -> FloatArray:
    """Neutrino momentum plus 16 GeV of resolution on each component, (n, 2)."""
    neutrinos = np.isin(np.abs(gen.pdg_id), (12, 14, 16))
    momentum = np.sum(np.where(neutrinos[:, :, None], gen.p4[:, :, 1:3], 0.0), axis=1)
    return momentum + rng.normal(0, 16.0, momentum.shape)


def reconstruct(rng: np.random.Generator, gen: GeneratedEvents, process: str) -> Reconstruction:
    """Simulate the detector for events of one process."""
    true_pileup = np.clip(rng.normal(32, 9, len(gen)), 2, 98)
    jets, gen_jets = _jets(rng, gen, ISR_JETS[process], true_pileup)
    return Reconstruction(
        muons=_leptons(rng, gen, 13, soft_rate=0.15),
        electrons=_leptons(rng, gen, 11, soft_rate=0.2),
        jets=jets,
        gen_jets=gen_jets,
        met=_missing_momentum(rng, gen),
        true_pileup=true_pileup,
        n_vertices=np.maximum(rng.poisson(0.8 * true_pileup), 1),
    )
