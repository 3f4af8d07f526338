"""A training step of object discovery: from a batch with one prompt kind to weighted loss terms.

Follows MasterBin-IIAU/UNINEXT at 5ab0386: SimOTA after every decoder layer, one-to-one matching of encoder proposals,
contrastive denoising, box quality, and masks either compared with annotated ones or held to boxes and colours. Shapes:
B batch, N queries, S image tokens, D width, H W the padded input.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from models.box_supervision import BoxSupervision
from models.deformable_decoder import DecodedQueries
from models.denoising import Denoising, DenoisingQueries
from models.discovery import Discovered, ObjectDiscovery
from models.identity_loss import FramePair, IdentityLoss
from models.object_losses import WEIGHTS, PairLosses, at_stride_4
from models.object_matching import Matches, ObjectTargets, OneToOne, SimOta
from models.prompt_tokens import PromptTokens


@dataclass(frozen=True, slots=True, kw_only=True)
class Supervised:
    """A batch after its forward pass. matches: of every decoder layer and image. proposals: of every image."""

    losses: dict[str, Tensor]
    matches: tuple[tuple[Matches, ...], ...]
    proposals: tuple[Matches, ...]
    found: Discovered


class DiscoveryCriterion(nn.Module):
    """Loss terms of a forward pass, unweighted: `loss_ce`, `loss_bbox`, ... of the last layer, then with "_0", "_1" ...
    of the others, "_enc" of proposals and "_dn" of denoising queries.

    denoising: how boxes are noised, or None for none. box_supervision: for targets with colours. identity_loss: for
    clips. weights: by name without suffix.
    """

    def __init__(
        self,
        denoising: Denoising | None = None,
        *,
        matcher: SimOta | None = None,
        proposal_matcher: OneToOne | None = None,
        box_supervision: BoxSupervision | None = None,
        identity_loss: IdentityLoss | None = None,
        weights: Mapping[str, float] = WEIGHTS,
    ) -> None:
        super().__init__()
        self.box_supervision = box_supervision or BoxSupervision()
        self.identity_loss = identity_loss or IdentityLoss()
        self.denoising, self.weights = denoising, dict(weights)
        self.matcher, self.proposal_matcher = matcher or SimOta(), proposal_matcher or OneToOne()
        self.pair_losses = PairLosses()

    def forward(
        self,
        model: ObjectDiscovery,
        images: Sequence[Tensor],
        prompt: PromptTokens,
        targets: Sequence[ObjectTargets],
        noise: Tensor | None = None,
    ) -> Supervised:
        """images: uint8 or float [3, h, w] RGB 0..255 each. targets: one an image, at least one object in the batch.

        noise: of `Denoising.draw`, [groups, 2, T, 4]; None: drawn here.
        """
        noised = self._noised(model, prompt, targets, noise)
        found = model.discover(model.encode(*model.batch(images)), prompt, denoising=noised)
        losses: dict[str, Tensor] = {}
        matches = []
        features = model.mask_features(found)
        num_layers = len(found.decoded.states)
        # The last layer comes first, as in the authors' count of iterations.
        for layer in (num_layers - 1, *range(num_layers - 1)):
            suffix = "" if layer == num_layers - 1 else f"_{layer}"
            terms, pairs = self._layer(model, found, features, targets, layer)
            matches.append(pairs)
            if noised is not None:
                terms |= self._denoised(model, found, noised, targets, layer)
            losses |= {name + suffix: value for name, value in terms.items()}
        proposal_terms, proposal_pairs = self._proposed(found, targets)
        losses |= proposal_terms
        ordered = (*matches[1:], matches[0])
        return Supervised(losses=losses, matches=ordered, proposals=proposal_pairs, found=found)

    def identities(
        self,
        model: ObjectDiscovery,
        key: Supervised,
        reference: Discovered,
        targets: Sequence[ObjectTargets],
        is_present: Sequence[Tensor],
        drawn: Sequence[Tensor] | None = None,
    ) -> dict[str, Tensor]:
        """Terms of a batch of clips, in which object i of the key frame is object i of the reference frame.

        reference: the later frames after `discover`, without denoising. targets: of them. is_present: bool [G] each,
        whether the object is in the reference frame. drawn: see `IdentityLoss`.
        """
        anchors, embeddings = model.identify(key.found), model.identify(reference)
        logits = model.retrieve(reference)
        pairs = [
            FramePair(
                anchors=anchors[index][key.matches[-1][index].cheapest],
                embeddings=embeddings[index],
                logits=logits[index],
                boxes=reference.decoded.boxes[-1][index],
                targets=target,
                is_present=present,
            )
            for index, (target, present) in enumerate(zip(targets, is_present, strict=True))
        ]
        return self.identity_loss(pairs, drawn)

    def weighted(self, losses: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Loss terms times their weights. losses: scalar each."""
        return {name: value * self.weights[_term(name)] for name, value in losses.items()}

    def _noised(
        self, model: ObjectDiscovery, prompt: PromptTokens, targets: Sequence[ObjectTargets], noise: Tensor | None
    ) -> DenoisingQueries | None:
        if self.denoising is None or not any(len(target) for target in targets):
            return None
        noise = self.denoising.draw(targets) if noise is None else noise
        return self.denoising(model.denoising_content(prompt.pooled), targets, noise)

    def _layer(
        self,
        model: ObjectDiscovery,
        found: Discovered,
        features: Tensor,
        targets: Sequence[ObjectTargets],
        layer: int,
    ) -> tuple[dict[str, Tensor], tuple[Matches, ...]]:
        """Terms of a decoder layer and its matches."""
        logits, boxes = model.retrieve(found, layer), model.decoder.refined_boxes(found.decoded, layer)
        triples = zip(logits.detach(), boxes.detach(), targets, strict=True)
        matches = tuple(self.matcher(*triple) for triple in triples)
        losses = {"loss_ce": self.pair_losses.classes(logits, matches, targets, _valid_tokens(found.prompt))}
        terms, iou = self.pair_losses.boxes(boxes, matches, targets)
        losses |= terms
        losses["loss_boxiou"] = self.pair_losses.quality(model.rate(found, layer), matches, iou)
        return losses | self._masks(model, found, features, targets, matches, layer), matches

    def _masks(
        self,
        model: ObjectDiscovery,
        found: Discovered,
        features: Tensor,
        targets: Sequence[ObjectTargets],
        matches: Sequence[Matches],
        layer: int,
    ) -> dict[str, Tensor]:
        """Terms of the matched queries' masks; none where a data set has only boxes."""
        drawn, wanted, colours = [], [], []
        for index, (pairs, target) in enumerate(zip(matches, targets, strict=True)):
            if target.masks is None:
                continue
            one = replace(found, decoded=_image(found.decoded, index), valid_sizes=found.valid_sizes[index, None])
            drawn.append(model.draw(one, features[index, None], pairs.query[None], layer)[0])
            wanted.append(at_stride_4(target.masks)[pairs.target])
            if target.similarity is not None:
                colours.append(target.similarity.expand(len(pairs.query), -1, -1, -1))
        if not drawn:
            return {}
        if not colours:
            return self.pair_losses.masks(torch.cat(drawn), torch.cat(wanted))
        is_first = layer == len(found.decoded.states) - 1
        return self.box_supervision(torch.cat(drawn), torch.cat(wanted), torch.cat(colours), is_first=is_first)

    def _denoised(
        self,
        model: ObjectDiscovery,
        found: Discovered,
        noised: DenoisingQueries,
        targets: Sequence[ObjectTargets],
        layer: int,
    ) -> dict[str, Tensor]:
        if found.denoised is None:
            raise ValueError("nothing was denoised")
        logits = model.retrieve_denoised(found, layer)
        losses = {"loss_ce": self.pair_losses.classes(logits, noised.matches, targets, _valid_tokens(found.prompt))}
        boxes = model.decoder.refined_boxes(found.denoised, layer)
        losses |= self.pair_losses.boxes(boxes, noised.matches, targets)[0]
        return {f"{name}_dn": value for name, value in losses.items()}

    def _proposed(
        self, found: Discovered, targets: Sequence[ObjectTargets]
    ) -> tuple[dict[str, Tensor], tuple[Matches, ...]]:
        """Terms of the encoder's proposals, for which every object is of the one class."""
        alike = [replace(t, positives=torch.ones_like(t.positives[:, :1])) for t in targets]
        logits, boxes = found.proposals.score[..., None], found.proposals.box_logits.sigmoid()
        triples = zip(logits.detach(), boxes.detach(), alike, strict=True)
        matches = tuple(self.proposal_matcher(*triple) for triple in triples)
        losses = {"loss_ce": self.pair_losses.classes(logits, matches, alike, None)}
        losses |= self.pair_losses.boxes(boxes, matches, alike)[0]
        return {f"{name}_enc": value for name, value in losses.items()}, matches


def _valid_tokens(prompt: PromptTokens) -> Tensor | None:
    return prompt.valid if prompt.kind == "categories" else None


def _image(decoded: DecodedQueries, index: int) -> DecodedQueries:
    """The queries of one image, as a batch of one."""
    states, boxes = (tuple(rows[index, None] for rows in part) for part in (decoded.states, decoded.boxes))
    return DecodedQueries(states=states, boxes=boxes)


def _term(name: str) -> str:
    """`loss_ce` of `loss_ce_dn_3`: the name without the suffixes of where it was measured."""
    parts = [part for part in name.split("_") if not part.isdigit() and part not in ("dn", "enc")]
    return "_".join(parts)
