"""Sending through both APIs, as boto3 sees it, and what the mailbox shows of it."""

import email
import json
import urllib.request
from email import policy

import pytest
from botocore.exceptions import ClientError

ANN, BOB = "ann@example.com", "bob@example.org"


@pytest.fixture
def ses(client):
    made = client("ses")
    made.verify_email_identity(EmailAddress=ANN)
    return made


@pytest.fixture
def v2(client):
    made = client("sesv2")
    made.create_email_identity(EmailIdentity=ANN)
    return made


def refused(code, call, **parameters):
    with pytest.raises(ClientError) as caught:
        call(**parameters)
    error = caught.value.response["Error"]
    assert error["Code"] == code, error
    return error["Message"]


def message(subject="Hello", text="Hi", html=None):
    body = {"Text": {"Data": text}}
    if html:
        body["Html"] = {"Data": html}
    return {"Subject": {"Data": subject}, "Body": body}


def find(server, message_id):
    return server.page(f"/_headrace/mail/{message_id}")


def raw(server, message_id):
    with urllib.request.urlopen(f"{server.url}/_headrace/mail/{message_id}/raw") as answer:
        return email.message_from_bytes(answer.read(), policy=policy.default)


def test_send_email__arrives_in_the_mailbox(ses, server, account):
    sent = ses.send_email(
        Source=f"Ann <{ANN}>",
        Destination={"ToAddresses": [BOB], "CcAddresses": ["carl@example.org"], "BccAddresses": ["dora@example.org"]},
        Message=message("Überzogen", "Ihr Konto", "<b>Ihr Konto</b>"),
        ReplyToAddresses=["desk@example.com"],
        Tags=[{"Name": "kind", "Value": "overdraft"}],
    )
    seen = find(server, sent["MessageId"])
    assert (seen["subject"], seen["source"], seen["from"]) == ("Überzogen", ANN, f"Ann <{ANN}>")
    assert (seen["to"], seen["cc"], seen["bcc"]) == ([BOB], ["carl@example.org"], ["dora@example.org"])
    assert (seen["text"].strip(), seen["html"].strip()) == ("Ihr Konto", "<b>Ihr Konto</b>")
    assert (seen["account"], seen["tags"], seen["relay"]) == (account, {"kind": "overdraft"}, None)
    mime = raw(server, sent["MessageId"])
    assert mime["Message-ID"] == f"<{sent['MessageId']}@email.amazonses.com>"
    assert mime["Reply-To"] == "desk@example.com"
    assert mime["Bcc"] is None


def test_send_email__asks_for_a_verified_sender(ses, client):
    message_text = refused(
        "MessageRejected",
        ses.send_email,
        Source="eve@example.net",
        Destination={"ToAddresses": [BOB]},
        Message=message(),
    )
    assert message_text == (
        "Email address is not verified. The following identities failed the check in region US-EAST-1: eve@example.net"
    )
    ses.verify_domain_identity(Domain="example.net")
    ses.send_email(Source="eve@mail.example.net", Destination={"ToAddresses": [BOB]}, Message=message())
    elsewhere = client("ses", region="eu-west-1")
    refused("MessageRejected", elsewhere.send_email, Source=ANN, Destination={"ToAddresses": [BOB]}, Message=message())


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"Destination": {"ToAddresses": ["nobody"]}}, "Missing final '@domain'"),
        ({"Destination": {"ToAddresses": [f"a{n}@example.com" for n in range(51)]}}, "Recipient count exceeds 50."),
        ({"Message": message("a\r\nBcc: eve@example.net")}, "Header Subject contains a control character"),
        ({"Message": message(text="x" * 10_500_000)}, "Message length is more than 10485760 bytes long"),
    ],
)
def test_send_email__refuses(ses, change, expected):
    parameters = {"Source": ANN, "Destination": {"ToAddresses": [BOB]}, "Message": message(), **change}
    assert expected in refused("InvalidParameterValue", ses.send_email, **parameters)


def test_send_raw_email__is_kept_as_it_is(ses, server):
    data = f"From: Ann <{ANN}>\nTo: {BOB}\nBcc: dora@example.org\nSubject: raw\n\nbody " + "x" * 50_000
    sent = ses.send_raw_email(RawMessage={"Data": data.encode()})
    seen = find(server, sent["MessageId"])
    assert (seen["subject"], seen["to"]) == ("raw", [BOB, "dora@example.org"])
    mime = raw(server, sent["MessageId"])
    assert mime["Bcc"] is None
    assert mime.get_content().endswith("x" * 50_000)
    refused("MessageRejected", ses.send_raw_email, RawMessage={"Data": data.replace(ANN, "eve@example.net").encode()})
    only = ses.send_raw_email(RawMessage={"Data": data.encode()}, Destinations=["x@example.org"], Source=ANN)
    assert find(server, only["MessageId"])["to"] == ["x@example.org"]


def test_templates__are_kept_and_filled(ses, server):
    template = {"TemplateName": "t", "SubjectPart": "Hello {{name}}", "TextPart": "{{#if vip}}Dear{{else}}Hi{{/if}} {{name}}"}
    ses.create_template(Template=template)
    refused("AlreadyExists", ses.create_template, Template=template)
    refused("InvalidTemplate", ses.create_template, Template={**template, "TemplateName": "u", "TextPart": "{{#if x}}"})
    assert ses.get_template(TemplateName="t")["Template"] == template
    assert [one["Name"] for one in ses.list_templates()["TemplatesMetadata"]] == ["t"]
    parameters = {"Source": ANN, "Destination": {"ToAddresses": [BOB]}, "Template": "t"}
    sent = ses.send_templated_email(TemplateData=json.dumps({"name": "Bob", "vip": True}), **parameters)
    seen = find(server, sent["MessageId"])
    assert (seen["subject"], seen["text"].strip(), seen["template"]) == ("Hello Bob", "Dear Bob", "t")
    failed = ses.send_templated_email(TemplateData="{}", **parameters)
    assert find(server, failed["MessageId"])["failure"] == (
        "Rendering Failure: Attribute 'name' is not present in the rendering data."
    )
    refused("InvalidRenderingParameter", ses.send_templated_email, TemplateData="{", **parameters)
    rendered = ses.test_render_template(TemplateName="t", TemplateData='{"name": "Bob"}')["RenderedTemplate"]
    assert "Subject: Hello Bob" in rendered
    assert rendered.rstrip().endswith("Hi Bob")
    text = refused("MissingRenderingAttribute", ses.test_render_template, TemplateName="t", TemplateData="{}")
    assert text == "Attribute 'name' is not present in the rendering data."
    ses.update_template(Template={**template, "TextPart": "x" * 200_000})
    assert len(ses.get_template(TemplateName="t")["Template"]["TextPart"]) == 200_000
    ses.delete_template(TemplateName="t")
    refused("TemplateDoesNotExist", ses.get_template, TemplateName="t")
    refused("TemplateDoesNotExist", ses.send_templated_email, TemplateData="{}", **parameters)


def test_bulk__each_has_its_own_data(ses, server):
    ses.create_template(Template={"TemplateName": "t", "SubjectPart": "For {{name}}", "TextPart": "x"})
    status = ses.send_bulk_templated_email(
        Source=ANN,
        Template="t",
        DefaultTemplateData='{"name": "you"}',
        Destinations=[
            {"Destination": {"ToAddresses": [BOB]}, "ReplacementTemplateData": '{"name": "Bob"}'},
            {"Destination": {"ToAddresses": ["bad"]}},
            {"Destination": {"ToAddresses": ["carl@example.org"]}},
        ],
    )["Status"]
    assert [one["Status"] for one in status] == ["Success", "InvalidParameterValue", "Success"]
    assert find(server, status[0]["MessageId"])["subject"] == "For Bob"
    assert find(server, status[2]["MessageId"])["subject"] == "For you"


def test_identities__are_listed_and_forgotten(ses):
    ses.verify_domain_identity(Domain="Example.NET")
    assert ses.list_identities()["Identities"] == [ANN, "example.net"]
    assert ses.list_identities(IdentityType="Domain")["Identities"] == ["example.net"]
    first = ses.list_identities(MaxItems=1)
    assert ses.list_identities(NextToken=first["NextToken"])["Identities"] == ["example.net"]
    found = ses.get_identity_verification_attributes(Identities=[ANN, "x@example.org"])["VerificationAttributes"]
    assert found == {ANN: {"VerificationStatus": "Success"}}
    ses.delete_identity(Identity=ANN)
    refused("MessageRejected", ses.send_email, Source=ANN, Destination={"ToAddresses": [BOB]}, Message=message())


def test_configuration_sets__name_messages(ses, client):
    v2 = client("sesv2")
    ses.create_configuration_set(ConfigurationSet={"Name": "watched"})
    refused("ConfigurationSetAlreadyExists", ses.create_configuration_set, ConfigurationSet={"Name": "watched"})
    parameters = {"Source": ANN, "Destination": {"ToAddresses": [BOB]}, "Message": message()}
    ses.send_email(ConfigurationSetName="watched", **parameters)
    refused("ConfigurationSetDoesNotExist", ses.send_email, ConfigurationSetName="other", **parameters)
    v2.put_configuration_set_sending_options(ConfigurationSetName="watched", SendingEnabled=False)
    refused("ConfigurationSetSendingPausedException", ses.send_email, ConfigurationSetName="watched", **parameters)
    assert v2.get_configuration_set(ConfigurationSetName="watched")["SendingOptions"] == {"SendingEnabled": False}
    assert [one["Name"] for one in ses.list_configuration_sets()["ConfigurationSets"]] == ["watched"]
    v2.delete_configuration_set(ConfigurationSetName="watched")
    refused("NotFoundException", v2.get_configuration_set, ConfigurationSetName="watched")


def test_quota__counts_what_was_sent(ses):
    for _ in range(3):
        ses.send_email(Source=ANN, Destination={"ToAddresses": [BOB]}, Message=message())
    assert ses.get_send_quota()["SentLast24Hours"] == 3
    assert sum(point["DeliveryAttempts"] for point in ses.get_send_statistics()["SendDataPoints"]) == 3


def test_v2_simple__with_attachments_and_headers(v2, server):
    content = {
        **message("Report", "see attachment"),
        "Headers": [{"Name": "X-Trace", "Value": "7"}],
        "Attachments": [{"FileName": "a.csv", "RawContent": b"x,y\n", "ContentType": "text/csv"}],
    }
    sent = v2.send_email(
        FromEmailAddress=ANN,
        Destination={"ToAddresses": [BOB]},
        Content={"Simple": content},
        EmailTags=[{"Name": "a", "Value": "b"}],
    )
    seen = find(server, sent["MessageId"])
    assert seen["attachments"] == [{"name": "a.csv", "type": "text/csv", "size_bytes": 4}]
    assert raw(server, sent["MessageId"])["X-Trace"] == "7"


def test_v2_raw_and_template(v2, server):
    data = f"From: {ANN}\r\nTo: {BOB}\r\nSubject: raw\r\n\r\nbody".encode()
    sent = v2.send_email(Content={"Raw": {"Data": data}})
    assert find(server, sent["MessageId"])["to"] == [BOB]
    v2.create_email_template(TemplateName="t", TemplateContent={"Subject": "{{a}}", "Html": "<p>{{a}}</p>"})
    parameters = {"FromEmailAddress": ANN, "Destination": {"ToAddresses": [BOB]}}
    sent = v2.send_email(Content={"Template": {"TemplateName": "t", "TemplateData": '{"a": "<i>"}'}}, **parameters)
    assert find(server, sent["MessageId"])["html"].strip() == "<p><i></p>"
    inline = {"TemplateContent": {"Subject": "s", "Text": "{{b.c}}"}, "TemplateData": '{"b": {"c": 1}}'}
    sent = v2.send_email(Content={"Template": inline}, **parameters)
    assert find(server, sent["MessageId"])["text"].strip() == "1"
    refused("NotFoundException", v2.send_email, Content={"Template": {"TemplateName": "u", "TemplateData": "{}"}}, **parameters)
    refused("BadRequestException", v2.send_email, Content={}, **parameters)
    nobody = refused("BadRequestException", v2.send_email, FromEmailAddress=ANN, Content={"Simple": message()})
    assert nobody == "Missing required header 'To'."
    rendered = v2.test_render_email_template(TemplateName="t", TemplateData='{"a": 1}')["RenderedTemplate"]
    assert "<p>1</p>" in rendered
    refused(
        "MessageRejected", v2.send_email, **{**parameters, "FromEmailAddress": "e@example.net"}, Content={"Simple": message()}
    )


def test_v2_bulk(v2, server):
    v2.create_email_template(TemplateName="t", TemplateContent={"Subject": "For {{name}}", "Text": "x"})
    results = v2.send_bulk_email(
        FromEmailAddress=ANN,
        DefaultContent={"Template": {"TemplateName": "t", "TemplateData": '{"name": "you"}'}},
        BulkEmailEntries=[
            {
                "Destination": {"ToAddresses": [BOB]},
                "ReplacementEmailContent": {"ReplacementTemplate": {"ReplacementTemplateData": '{"name": "Bob"}'}},
            },
            {"Destination": {"ToAddresses": ["bad"]}},
        ],
    )["BulkEmailEntryResults"]
    assert [one["Status"] for one in results] == ["SUCCESS", "INVALID_PARAMETER"]
    assert find(server, results[0]["MessageId"])["subject"] == "For Bob"


def test_v2_identities_and_account(v2, account):
    refused("AlreadyExistsException", v2.create_email_identity, EmailIdentity=ANN)
    v2.create_email_identity(EmailIdentity="example.net", Tags=[{"Key": "k", "Value": "v"}])
    found = v2.get_email_identity(EmailIdentity="example.net")
    assert (found["IdentityType"], found["VerifiedForSendingStatus"]) == ("DOMAIN", True)
    assert found["Tags"] == [{"Key": "k", "Value": "v"}]
    arn = f"arn:aws:ses:us-east-1:{account}:identity/example.net"
    v2.tag_resource(ResourceArn=arn, Tags=[{"Key": "l", "Value": "w"}])
    v2.untag_resource(ResourceArn=arn, TagKeys=["k"])
    assert v2.list_tags_for_resource(ResourceArn=arn)["Tags"] == [{"Key": "l", "Value": "w"}]
    assert [one["IdentityName"] for one in v2.list_email_identities()["EmailIdentities"]] == [ANN, "example.net"]
    v2.delete_email_identity(EmailIdentity="example.net")
    refused("NotFoundException", v2.get_email_identity, EmailIdentity="example.net")
    assert v2.get_account()["SendingEnabled"] is True


def test_mailbox__lists_the_newest_first(ses, server, account):
    mine = f"x{account}@example.org"
    ids = [
        ses.send_email(Source=ANN, Destination={"ToAddresses": [mine]}, Message=message(f"n{number}"))["MessageId"]
        for number in range(3)
    ]
    page = server.page(f"/_headrace/mail?to={mine.upper()}&limit=2")
    assert [one["subject"] for one in page["messages"]] == ["n2", "n1"]
    rest = server.page(f"/_headrace/mail?to={mine}&after={page['next']}")
    assert [one["id"] for one in rest["messages"]] == [ids[0]]
    assert rest["next"] is None
    assert server.page("/_headrace/mail?limit=1")["messages"][0]["id"] == ids[2]
    local = server.page(f"/_aws/ses?id={ids[1]}")["messages"]
    assert (local[0]["Subject"], local[0]["Destination"]["ToAddresses"], local[0]["Source"]) == ("n1", [mine], ANN)


def test_mailbox__is_a_page(server):
    for path, kind, word in (
        ("/_headrace/mailbox", "text/html", b"mailbox.js"),
        ("/_headrace/mailbox.js", "text/javascript", b"sandbox"),
        ("/_headrace/mailbox.css", "text/css", b"iframe"),
    ):
        with urllib.request.urlopen(server.url + path) as answer:
            assert answer.headers["content-type"].startswith(kind)
            assert "default-src 'none'" in answer.headers["content-security-policy"]
            assert word in answer.read()
