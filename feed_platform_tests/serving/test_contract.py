"""The API keeps what its OpenAPI document says, whatever is sent."""

from collections.abc import Iterator

import pytest
import schemathesis
from fastapi import FastAPI
from hypothesis import HealthCheck, given, settings
from schemathesis import BaseSchema, Case, GenerationMode
from schemathesis.specs.openapi.checks import negative_data_rejection, positive_data_acceptance

from feed_platform.home import prepare_home
from feed_platform.serving import operations
from feed_platform.serving.app import build_app
from feed_platform.serving.backend import Backend
from feed_platform.settings import Settings
from feed_platform_tests.serving import samples

LOCAL = {"Host": "localhost"}
EXAMPLES = 20
# A schema can't say that pinned posts are candidates, times aren't in the future, attributes are declared;
# and feedback answers for each event by itself.
EXCUSED = [positive_data_acceptance]


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FastAPI]:
    home = Settings(home=tmp_path_factory.mktemp("contract") / "home", api_token=None)
    prepare_home(home)
    samples.fill(home)
    backend = Backend.open(home, samples.FEED)
    yield build_app(backend)
    backend.close()


@pytest.fixture(scope="module")
def contract(app: FastAPI) -> BaseSchema:
    return schemathesis.openapi.from_asgi("/openapi.json", app, headers=LOCAL)


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE])
@pytest.mark.parametrize("operation", operations.ALL, ids=lambda operation: operation.path)
def test_every_answer_is_one_that_the_document_names(
    contract: BaseSchema, operation: operations.Operation, mode: GenerationMode
) -> None:
    if mode is GenerationMode.NEGATIVE and operation.takes is None:
        pytest.skip("takes nothing that could be wrong")

    excused = [*EXCUSED, negative_data_rejection] if operation is operations.FEEDBACK else EXCUSED

    @settings(max_examples=EXAMPLES, suppress_health_check=list(HealthCheck))
    @given(contract[operation.path][operation.method].as_strategy(generation_mode=mode))
    def answers_as_documented(case: Case) -> None:
        case.call_and_validate(headers=LOCAL, excluded_checks=excused)

    answers_as_documented()
