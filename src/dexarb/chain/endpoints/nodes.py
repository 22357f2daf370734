"""The nodes behind an Rpc, shared by all of its views: whom of them to ask, and on which chain."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass

from dexarb.chain.endpoints.choice import Endpoints
from dexarb.chain.endpoints.client import EndpointClient
from dexarb.chain.endpoints.judging import judge
from dexarb.core.block import BlockRef
from dexarb.errors import TransportError


@dataclass(slots=True)
class Nodes:
    """Mutable. among: indices of the endpoints that a view may ask.

    max_wait_s: how long a call waits where all want to be left alone; then it fails, unasked.
    chain_id and known: what endpoints are judged by, see `Rpc.expect`; nothing is asked without.
    """

    clients: list[EndpointClient]
    endpoints: Endpoints
    clock: Callable[[], float]
    utc: Callable[[], float]
    sleep: Callable[[float], Awaitable[None]]
    max_wait_s: float
    chain_id: int | None = None
    known: Callable[[], Sequence[BlockRef]] = tuple

    def order(self, among: Collection[int], methods: Collection[str] = ()) -> list[EndpointClient]:
        """Whom to ask, best first; empty if nobody can be asked now."""
        wanted = frozenset(methods)
        order = self.endpoints.order(self.clock(), self.utc(), methods=wanted, among=among)
        return [self.clients[endpoint.index] for endpoint in order]

    async def usable(
        self, among: Collection[int], methods: Collection[str]
    ) -> list[EndpointClient]:
        """The same; waits for them if all want to be left alone. Raises TransportError."""
        while not (order := self.order(among, methods)):
            wait_s, reason = self.endpoints.free_in_s(self.clock(), self.utc(), among=among)
            if wait_s > self.max_wait_s:
                name, _, said = reason.partition(": ")
                raise TransportError(name, said or "cannot be asked")
            await self.sleep(wait_s)
        return order

    async def is_ours(self, client: EndpointClient, spend: Callable[[list[str]], None]) -> bool:
        """Whether the endpoint may be used; asks it where that is not known. Raises
        TransportError."""
        health = client.health
        if self.chain_id is None:
            return True
        async with client.judging:
            if health.is_due_for_judging(self.clock()):
                known = self.known()
                standing, reason = await judge(client, self.chain_id, known, spend)
                if standing.is_foreign:  # it costs the endpoint its place: not for one false answer
                    standing, reason = await judge(client, self.chain_id, known, spend)
                self.endpoints.judged(health, standing, reason, self.clock())
        return self.endpoints.is_on_our_chain(health, self.clock())

    def nobody(self, among: Collection[int]) -> TransportError:
        name = next((each.health.name for each in self.clients if each.health.index in among), "")
        return TransportError(name or "no endpoint", "no endpoint of this chain could be asked")
