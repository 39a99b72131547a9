"""What the API does with credentials. A value comes in and never goes out."""

from uuid import UUID

from central.api import audit
from central.api.bodies import ENTERED_KINDS, CardBody, CredentialAnswer, CredentialPage
from central.api.operations import Answer, Call
from central.api.problems import ProblemError, bad_field
from central.directory.enrolling import HeldError, enrol, read_typed, replace
from central.directory.models import Credential, Member
from wire.credentials import CredentialError
from wire.forms import read_form
from wire.vocabulary import Assurance, CredentialKind


def list_credentials(call: Call) -> Answer:
    """Return one page."""
    credentials = Credential.objects.order_by("pk")
    if (after := call.uuid("after")) is not None:
        credentials = credentials.filter(pk__gt=after)
    if (member := call.uuid("member")) is not None:
        credentials = credentials.filter(member_id=member)
    limit = call.limit()
    found = list(credentials[: limit + 1])
    more = len(found) > limit
    return Answer(
        CredentialPage(items=[_answer(each) for each in found[:limit]], next=found[limit - 1].pk if more else None)
    )


def add_credential(call: Call) -> Answer:
    """Give a member a credential."""
    member = Member.objects.filter(pk=call.body.member).first()
    if member is None:
        raise bad_field("member", f"there is no member {call.body.member}")
    canonical = _canonical(call.body)
    try:
        credential = enrol(member, call.body.kind, canonical)
    except HeldError as held:
        raise _held(held) from held
    if call.body.is_revoked:
        credential.is_revoked = True
        credential.save()
    audit.note(call.key, credential, "added")
    return _made(credential)


def get_credential(call: Call) -> Answer:
    """Return one."""
    return Answer(_answer(_found(call.target)))


def change_credential(call: Call) -> Answer:
    """Revoke one, or give it back."""
    credential = _found(call.target)
    credential.is_revoked = call.body.is_revoked
    credential.save()
    audit.note(call.key, credential, "changed")
    return Answer(_answer(credential))


def replace_credential(call: Call) -> Answer:
    """Revoke one and give its holder another, both or neither."""
    lost = _found(call.target)
    try:
        new = replace(lost, call.body.kind, _canonical(call.body))
    except HeldError as held:
        raise _held(held) from held
    audit.note(call.key, lost, "replaced")
    return _made(new)


def delete_credential(call: Call) -> Answer:
    """Delete one, so that it may be given to somebody else."""
    credential = _found(call.target)
    audit.note(call.key, credential, "deleted")
    credential.delete()
    return Answer()


def _found(pk: UUID) -> Credential:
    credential = Credential.objects.select_related("member").filter(pk=pk).first()
    if credential is None:
        raise ProblemError(404, f"there is no credential {pk}")
    return credential


def _canonical(body: CardBody) -> bytes:
    if body.kind not in ENTERED_KINDS:
        raise bad_field("kind", f"a {body.kind} is issued by central; give one of {', '.join(ENTERED_KINDS)}")
    try:
        return read_form(body.kind, body.form, body.value) if body.form else read_typed(body.kind, body.value)
    except CredentialError as fault:
        raise bad_field("value", str(fault)[:500]) from fault


def _held(held: HeldError) -> ProblemError:
    return ProblemError(409, f"member {held.holder.pk} holds this credential already; delete it there first")


def _made(credential: Credential) -> Answer:
    return Answer(_answer(credential), location=f"/api/v1/credentials/{credential.pk}")


def _answer(credential: Credential) -> CredentialAnswer:
    return CredentialAnswer(
        id=credential.pk,
        member=credential.member_id,
        kind=CredentialKind(credential.kind),
        hint=credential.hint,
        assurance=Assurance(credential.assurance),
        is_revoked=credential.is_revoked,
        created_at=credential.created_at,
    )
