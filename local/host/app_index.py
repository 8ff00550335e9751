"""Reads an app's functions and refuses, with the function's name, what Microsoft's Python worker refuses."""

import importlib
import inspect
import json
import sys
import types
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, cast

import azure.functions as func
from azure.functions.decorators.function_app import Function, FunctionRegister
from azure.functions.meta import Datum, get_binding_registry

IN, OUT = 0, 1


class IndexingError(Exception):
    """The app cannot be indexed; as on Azure the whole app is lost, not the one function."""


@dataclass(frozen=True)
class Indexed:
    """One function of the app, ready to be called."""

    name: str
    call: Callable[..., object]
    bindings: list[dict[str, object]]
    parameter: str
    trigger: str
    converter: str
    wants_context: bool
    returns: str | None
    retries: bool

    @property
    def is_async(self) -> bool:
        return inspect.iscoroutinefunction(self.call)

    def metadata(self) -> dict[str, object]:
        """What the host may know of a function."""
        return {"name": self.name, "bindings": self.bindings, "retries": self.retries}


class Converter(Protocol):
    """The part of Microsoft's binding converters that a worker calls; the library has no types for it."""

    def check_input_type_annotation(self, pytype: type) -> bool: ...
    def check_output_type_annotation(self, pytype: type) -> bool: ...
    def decode(self, data: Datum, *, trigger_metadata: Mapping[str, Datum]) -> object: ...
    def encode(self, obj: object, *, expected_type: type | None) -> Datum: ...


def converter(binding: str) -> Converter | None:
    """Microsoft's own converter for a kind of binding, None when it has none."""
    registry = get_binding_registry()
    return cast(Converter | None, registry.get(binding))


def index(app_dir: Path) -> list[Indexed]:
    """Import function_app.py from app_dir and check every function in it."""
    if not (app_dir / "function_app.py").is_file():
        raise IndexingError(f"{app_dir} holds no function_app.py: point --app at the folder that does")
    sys.path.insert(0, str(app_dir))
    try:
        module = importlib.import_module("function_app")
        functions = _the_app(module).get_functions()
    except IndexingError:
        raise
    except Exception as error:
        raise IndexingError(f"function_app.py cannot be indexed: {type(error).__name__}: {error}") from error
    return [_checked(function) for function in functions]


def _the_app(module: object) -> FunctionRegister:
    apps = [(name, value) for name, value in vars(module).items() if isinstance(value, FunctionRegister)]
    if not apps:
        raise IndexingError("function_app.py defines no FunctionApp at its top level")
    if len(apps) > 1:
        names = ", ".join(name for name, _ in apps)
        raise IndexingError(
            f"function_app.py has more than one FunctionApp, or an alias of one, at its top level: {names}"
        )
    return apps[0][1]


def _checked(function: Function) -> Indexed:
    name = str(function.get_function_name())
    call = function.get_user_function()
    bindings: list[dict[str, object]] = [json.loads(raw) for raw in function.get_raw_bindings()]
    trigger = function.get_trigger()
    if trigger is None:
        raise IndexingError(f"function {name} has no trigger: each function needs exactly one")
    parameters = dict(inspect.signature(call).parameters)
    annotations = _annotations(name, call)
    bound = {b.name: b for b in function.get_bindings() if b.name != "$return"}
    wants_context = "context" in parameters and "context" not in bound
    if wants_context:
        _check_context(name, annotations.get("context"), "context" in annotations)
        del parameters["context"]
    _check_names(name, set(parameters), set(bound))
    converter = _converter(name, trigger.name, str(trigger.type), annotations)
    returns = next((str(b["type"]) for b in bindings if b["name"] == "$return"), None)
    if returns is not None and "return" in annotations:
        _check_return(name, returns, annotations["return"])
    return Indexed(
        name=name,
        call=call,
        bindings=bindings,
        parameter=trigger.name,
        trigger=str(trigger.type),
        converter=converter,
        wants_context=wants_context,
        returns=returns,
        retries=function.get_setting("retry_policy") is not None,
    )


def _annotations(name: str, call: Callable[..., object]) -> dict[str, object]:
    try:
        return typing.get_type_hints(call)
    except NameError as error:
        raise IndexingError(
            f"function {name}: an annotation cannot be resolved when the app runs ({error}); "
            "a name imported under TYPE_CHECKING only is not there"
        ) from error


def _check_context(name: str, annotation: object, annotated: bool) -> None:
    if annotated and getattr(annotation, "__name__", None) != "Context":
        raise IndexingError(
            f'function {name}: the parameter "context" must be an azure.functions.Context, not {annotation!r}'
        )


def _check_names(name: str, parameters: set[str], bound: set[str]) -> None:
    if parameters - bound:
        raise IndexingError(
            f"function {name}: no binding for the parameters {sorted(parameters - bound)} "
            "(a decorator without functools.wraps hides the function's own)"
        )
    if bound - parameters:
        raise IndexingError(f"function {name}: no parameter for the bindings {sorted(bound - parameters)}")


def _converter(name: str, parameter: str, trigger: str, annotations: dict[str, object]) -> str:
    """The name of Microsoft's converter for the trigger's value, after its own check of the annotation."""
    if parameter not in annotations:
        return trigger
    annotation = annotations[parameter]
    if not isinstance(annotation, type) and typing.get_origin(annotation) in (
        None,
        typing.Union,
        types.UnionType,
    ):
        raise IndexingError(
            f"function {name}: the parameter {parameter} has the annotation {annotation!r}, which is not "
            "a type; the worker takes neither Optional nor unions on bound parameters"
        )
    if annotation in (str, bytes):
        return "generic"
    known = converter(trigger)
    if known is not None and (
        not isinstance(annotation, type) or not known.check_input_type_annotation(annotation)
    ):
        raise IndexingError(
            f"function {name}: the annotation {annotation!r} of {parameter} does not match a {trigger}"
        )
    return trigger


def _check_return(name: str, binding: str, annotation: object) -> None:
    known = converter(binding)
    if (
        not isinstance(annotation, type)
        or annotation is func.Out
        or (known is not None and not known.check_output_type_annotation(annotation))
    ):
        raise IndexingError(f"function {name}: it cannot return {annotation!r} to its {binding} binding")
