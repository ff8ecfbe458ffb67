# SPDX-License-Identifier: Apache-2.0
# ruff: noqa: ANN401 - Nodepool has no types
"""Nodepool's request handler, with the fleet deciding where and whether a request fits.

One per request and pass, in a pool's PoolWorker thread; one whose request was taken lives as long as its launches.
A request's datacenter travels as Nodepool's availability zone, which already keeps the nodes of one request together.
Room for all nodes of a request is claimed in one step, so that one that has begun doesn't wait half-built. Nodepool
would pause a pool for a request that doesn't fit; here such a request stays as it is, and `fleet.queue` says who gives
way to whom. Its launches are a group of the fleet's, which moves as a whole when one of them fails; ready nodes that
the request was given before are then given back, and others made in their place.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from nodepool.driver import statemachine
from nodepool.zk import zookeeper

from zuul_suse.datacenter import Quota
from zuul_suse.fleet import Demand, Fleet
from zuul_suse.fleet.group import Group
from zuul_suse.fleet.queue import SPARE_RANK
from zuul_suse.nodepool_driver.demand import demand_for, is_spare, need_of


@dataclass(frozen=True)
class Room:
    """Where a request fits: `reused` nodes are ready there, `made` have to be made."""

    datacenter: str
    reused: list[str] = field(default_factory=list)
    made: list[str] = field(default_factory=list)


class SuseHandler(statemachine.StateMachineHandler):  # type: ignore[misc]
    """Handles one request. `chosen_az` is the datacenter that was chosen for it."""

    chosen_az: str | None

    def __init__(self, pw: Any, request: Any) -> None:
        super().__init__(pw, request)
        self._declined: list[str] | None = None
        self._claims: dict[str, str] = {}  # label by the claim's key
        self._group: Group | None = None  # of its launches

    @property
    def _fleet(self) -> Fleet:
        fleet: Fleet = self.manager.adapter.fleet
        fleet.start()
        return fleet

    @property
    def _spare(self) -> bool:
        return is_spare(self.request)

    @property
    def _rank(self) -> Any:
        return SPARE_RANK if self._spare else self.request.priority[:2]

    # Whether it can be done at all

    def getDeclinedReasons(self) -> list[str]:
        """Asked before and after the request is locked, within a moment: the answer is the same."""
        if self._declined is None:
            self._declined = list(super().getDeclinedReasons())
        return self._declined

    def _demands(self, node_types: list[str]) -> list[Demand]:
        return [demand_for(self.pool.labels[name], self._images(name), spare=self._spare) for name in node_types]

    def _stored_images(self, label: str) -> Any:
        """What is stored of a label's built image."""
        image = self.pool.labels[label].diskimage
        upload = image and self.zk.getMostRecentImageUpload(image.name, self.provider.name, cached=True)
        return upload.external_id if upload else None

    def _images(self, label: str) -> dict[str, str] | None:
        """Ids of a label's built image by datacenter: an upload may have failed in some."""
        stored = self._stored_images(label)
        return self._fleet.images.locate(stored) if stored else None

    def _need(self, node_types: list[str]) -> Quota:
        return sum((need_of(self.pool.labels[name], self._fleet) for name in node_types), Quota())

    def hasProviderQuota(self, node_types: list[str]) -> bool:
        """Whether the request could fit at all; an outage is no reason to refuse it for ever."""
        limits = Quota(self.pool.max_servers, self.pool.max_cores, self.pool.max_ram)
        if not limits.covers(self._need(node_types)):
            return False
        if any(self._fleet.images.is_pending(self._stored_images(name)) for name in set(node_types)):
            return True
        demands = self._demands(node_types)
        fits = self._fleet.fits_when_empty(demands)
        if not fits:
            members = self._fleet.members.values()
            sizes = "; ".join(f"{member.name}: {member.bounds(demands)}" for member in members)
            self.log.warning("No datacenter is big enough: %s", sizes)
        return fits

    # Whether there is room now

    def must_wait(self) -> bool:
        """Whether to leave the request as it is; asked before anything is stored or locked for it."""
        self._setFromPoolWorker()
        if self.getDeclinedReasons():
            return False
        types = list(self.request.node_types)
        shape = (self.pool.name, self._spare, self.request.reuse, *types)
        if not self.manager.known_full(shape, self._rank, self) and self._room(types) is not None:
            return False
        self.manager.fits_not(shape, self._rank)
        if self._spare:
            return False  # it is declined, for which it has to be locked
        self._queue(types)
        return True

    def _queue(self, types: list[str]) -> None:
        lacks_pool = not self.manager.book.fits(self.pool, self._need(types))
        demands = self._demands(types)
        self.manager.queue.wait(self.request.id, self.pool.name, self._rank, demands, lacks_pool)

    def queue_launch(self, launcher: Any) -> None:
        """A launch that left one place and finds no room elsewhere waits like a request: else all would overtake it."""
        machine = launcher.state_machine
        wanted = [] if machine is None or self._spare else machine.machine.wanted()
        if wanted:
            self.manager.queue.wait(launcher.node.id, self.pool.name, self._rank, wanted, lacks_pool=False)
        else:
            self.manager.queue.leave(launcher.node.id)

    def _room(self, types: list[str]) -> Room | None:
        """The datacenter that has most of it ready already, else the least loaded one; reserves nothing."""
        closed = self.manager.queue.closed_to(self.request.id, self.pool.name, self._rank, self._spare)
        rooms = self._with_ready_nodes(types, closed or {}) if self.request.reuse else []
        for room in sorted(rooms, key=lambda room: len(room.made)):
            others = {name: "" for name in self._fleet.members if name != room.datacenter}
            if not room.made or (
                closed is not None
                and self.manager.book.fits(self.pool, self._need(room.made))
                and self._fleet.place(self._demands(room.made), exclude={**others, **closed}).name
            ):
                return room
        if closed is None or not self.manager.book.fits(self.pool, self._need(types)):
            return None
        choice = self._fleet.place(self._demands(types), exclude=closed)
        if choice.name is None:
            self.log.debug("No datacenter has room now: %s", choice)
            return None
        return Room(choice.name, made=types)

    def _with_ready_nodes(self, types: list[str], closed: Any) -> list[Room]:
        rooms = []
        for name, labels in self.manager.book.ready(self.pool.name).items():
            member = self._fleet.members.get(name)
            reused = Counter(types) & labels
            if member is not None and reused and not member.is_out():
                rooms.append(Room(name, list(reused.elements()), list((Counter(types) - reused).elements())))
        return rooms

    # Taking it

    def _runHandler(self) -> None:
        """Claims room for all nodes before Nodepool changes anything; without room the request goes back untouched."""
        self._setFromPoolWorker()
        if not self.getDeclinedReasons():
            types = list(self.request.node_types)
            room = self._room(types)
            if room is None or not self._claim(room):
                self._give_back(types)
                return
            waited = self.manager.queue.leave(self.request.id)
            if waited:
                self.log.info("Request fits after %.0f s", waited)
        try:
            super()._runHandler()
        finally:
            self._nodes_chosen()

    def _claim(self, room: Room) -> bool:
        keys = {f"{self.request.id}:{number}": label for number, label in enumerate(room.made)}
        if keys and not self._reserve(keys, room.datacenter):
            return False
        self._claims = keys
        self.manager.book.take(self.pool.name, room.datacenter, room.reused)
        self.chosen_az = room.datacenter
        return True

    def _reserve(self, keys: dict[str, str], datacenter: str | None) -> bool:
        """Claim room for labels in this datacenter and no other."""
        others = {name: "" for name in self._fleet.members if name != datacenter}
        demands = dict(zip(keys, self._demands(list(keys.values())), strict=True))
        if self._fleet.claim(demands, exclude=others, group=self._group).name is None:
            return False
        self._group = self._group or self._fleet.group_of(next(iter(keys)))
        return True

    def _nodes_chosen(self) -> None:
        """Nodepool has reused or begun all nodes."""
        for key in self._claims:  # for nodes that came out of the ready ones after all
            self._fleet.release(key)
        self._claims.clear()
        kept = self._reused()
        if self._group is not None and self.chosen_az:
            demands = self._demands([node.type[0] for node in kept])
            keys = [f"{self.request.id}:{node.id}" for node in kept]
            self._fleet.keep(self._group, dict(zip(keys, demands, strict=True)), self.chosen_az)

    def _reused(self) -> list[Any]:
        made = {launcher.node.id for launcher in self.launchers}
        return [node for node in self.nodeset if node.id not in made]

    # When its launches have moved

    def poll(self) -> bool:
        """Asked once per pass whether the request is done."""
        if not self.done and self._group is not None and self._group.datacenter not in (None, self.chosen_az):
            self._follow(self._group.datacenter)
        return bool(super().poll())

    def _follow(self, datacenter: str) -> None:
        """Give ready nodes of the old datacenter back, and have others made where the launches are now."""
        for node in self._reused():
            self.log.info("Node %s stays behind in datacenter %s", node.id, node.az)
            self._claims[f"{self.request.id}:{node.id}"] = node.type[0]
            node.allocated_to = None
            self.zk.storeNode(node)
            self.zk.unlockNode(node)
            self.nodeset.remove(node)
            self._satisfied_types.removeNode(node.id)
        self.chosen_az = datacenter
        try:
            self._waitForNodeSet()
        finally:
            self._nodes_chosen()

    def _give_back(self, types: list[str]) -> None:
        if self._spare:
            self.log.debug("Declining a request for a spare node: there is no room")
            self.declineRequest()
            return
        self._queue(types)
        self.zk.unlockNodeRequest(self.request)
        self.done = True

    def hasRemainingQuota(self, ntype: str) -> bool:
        """Room was claimed for all; if a ready node was snatched away meanwhile, more is claimed.

        If that fails and others of the request are being made, the launch waits for room by itself, so that the pool
        needs no pause.
        """
        if ntype in self._claims.values():
            return True
        if self.manager.book.fits(self.pool, self._need([ntype])):
            key = f"{self.request.id}:{ntype}:{len(self.launchers)}"
            if self._reserve({key: ntype}, self._group.datacenter if self._group else self.chosen_az):
                self._claims[key] = ntype
                return True
        return bool(self.launchers)

    def _declineRequest(self) -> None:
        """One that failed because its label rests is as good as new: it waits like those that come now."""
        types = list(self.request.node_types)
        if self.failed_nodes and not self._spare and self._fleet.takes_back(self.request.id, self._demands(types)):
            self.log.info("Request waits: its label rests")
            self.unlockNodeSet(clear_allocation=True)
            self.request.state = zookeeper.REQUESTED
            return
        super()._declineRequest()

    def _declinedHandlerCleanup(self) -> None:
        """A request that was begun and has no room any more is as good as new."""
        if self.request.state == zookeeper.PENDING:
            self.request.state = zookeeper.REQUESTED
        if self._group is not None:
            self._fleet.disband(self._group)
        super()._declinedHandlerCleanup()

    def checkReusableNode(self, node: Any) -> bool:
        """Ready nodes of a datacenter that was renamed are as good as before."""
        return not self.chosen_az or self.manager.datacenter_of(node) == self.chosen_az

    def setNodeMetadata(self, node: Any) -> None:
        """The zone was chosen in `_room`; Nodepool's own choice at random must not happen."""

    def launch(self, node: Any) -> None:
        """The launch begins in another thread, and finds its claim under the node's id."""
        label = node.type[0]
        self.manager.book.add(node.id, self.pool.name, self._need([label]))
        key = next((key for key, claimed in self._claims.items() if claimed == label), None)
        if key is not None:
            del self._claims[key]
            self._fleet.rename(key, node.id)
        self._group = self._fleet.join(self._group, node.id, self._demands([label])[0])
        super().launch(node)
