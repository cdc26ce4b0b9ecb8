"""What there is to choose from: designs, kinds of events, the scenario's schema, presets."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Path

from app import anatomy, device_profiles
from app.api.deps import problems
from app.api.models import Design, EventField, EventKind, Preset, Structure
from app.refusals import Refusal
from app.strict import StrictRoute
from app.wording import nearest
from engine.designs import AXES
from engine.devices import DEVICES
from engine.events import EVENTS
from engine.kernel_functions import functions_of_event
from engine.scenario import Scenario
from engine.scenarios import shipped
from engine.struct_page import LAYOUTS
from engine.words import Bits, Less

router = APIRouter(tags=["catalogue"], route_class=StrictRoute)


@router.get("/designs")
async def list_designs() -> list[Design]:
    """List the designs of the wait and protect axes: where each stands in the debate, what it needs."""
    return [
        Design(
            name=name,
            axis=card.axis,
            title=card.title,
            stands=card.stands,
            structures=[Structure(name=structure, bytes=size) for structure, size in card.structures],
            tag_bits=card.tag_bits(card.options()),
            needs=card.needs,
        )
        for axis in ("wait", "protect")
        for name, card in AXES[axis].items()
    ]


@router.get("/events")
async def list_event_kinds() -> list[EventKind]:
    """List the kinds of events, with the fields of their two words."""
    return [
        EventKind(
            kind=kind.name,
            number=kind,
            fields=[_field(name, field) for name, field in event.words.fields.items()],
            says=event.says,
            lane=event.lane,
            colour=event.colour,
            functions={name: f"{one.file}: {one.name}" for name, one in functions_of_event(kind.name).items()},
        )
        for kind, event in EVENTS.items()
    ]


def _field(name: str, field: Bits | Less) -> EventField:
    if isinstance(field, Less):
        return EventField(name=name, label=field.label, form=field.form, word=None, shift=None, bits=None)
    return EventField(
        name=name, label=field.label, form=field.form, word=field.word, shift=field.shift, bits=field.size
    )


@router.get("/anatomy")
async def list_layouts() -> list[anatomy.PageLayout]:
    """List the layouts of struct page: what each type of page keeps where, and what each design takes of it."""
    return [anatomy.described(layout) for layout in LAYOUTS.values()]


@router.get("/anatomy/{layout}", responses=problems(404))
async def read_layout(layout: Annotated[str, Path(max_length=20)]) -> anatomy.PageLayout:
    """Return one of them."""
    return anatomy.described(anatomy.known_layout(layout))


@router.get("/devices")
async def list_devices() -> list[device_profiles.DeviceProfile]:
    """List the devices that a group of tasks can name, with the unit, range, kind and source of each number."""
    return [device_profiles.described(name, profile) for name, profile in DEVICES.items()]


@router.get("/scenario/schema")
async def read_scenario_schema() -> dict[str, Any]:
    """Return the JSON Schema of a scenario."""
    return Scenario.model_json_schema()


@router.get("/presets")
async def list_presets() -> list[Preset]:
    """List the scenarios that ship with the server, the demo first."""
    return [_preset(name, scenario) for name, scenario in shipped().items()]


@router.get("/presets/{name}", responses=problems(404))
async def read_preset(name: Annotated[str, Path(pattern="^[a-z0-9-]{1,60}$")]) -> Preset:
    """Return one of them."""
    if name not in shipped():
        raise Refusal(404, "no_preset", f"unknown preset '{name}'{nearest(name, shipped())}", field="name")
    return _preset(name, shipped()[name])


def _preset(name: str, scenario: Scenario) -> Preset:
    return Preset(
        name=name, title=scenario.name, story=scenario.story, scenario=scenario.model_dump(exclude_unset=True)
    )
