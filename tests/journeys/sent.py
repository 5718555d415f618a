"""Files as somebody else makes them and sends them: a partner's two CAs, certificates, CRLs, a bundle and a JWK Set."""

import base64
import json
import subprocess
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, PublicFormat, pkcs12
from joserfc.jwk import ECKey

SECONDS = 60
_CONFIG = """\
[ca]
default_ca = here
[here]
database = index.txt
crlnumber = crlnumber
default_md = sha256
default_crl_days = 7
unique_subject = no
"""
_CA = "basicConstraints=critical,CA:true\nkeyUsage=critical,keyCertSign,cRLSign\n"
_CLIENT = """\
extendedKeyUsage=clientAuth
keyUsage=digitalSignature
subjectAltName=DNS:orders.example,IP:192.0.2.7,email:orders@example.com
"""
_SVID = """\
keyUsage=critical,digitalSignature
extendedKeyUsage=clientAuth,serverAuth
subjectAltName=critical,URI:spiffe://example.org/orders
"""
_LINES = """\
NEW="-newkey ec -pkeyopt ec_paramgen_curve:P-256"
openssl req $NEW -x509 -nodes -subj "/C=SE/O=Partner AB/CN=Partner Root" -days 3650 \
  -keyout partner-ca.key -out partner-ca.pem
openssl req $NEW -nodes -subj "/C=SE/O=Partner AB/CN=Partner Issuing" -keyout issuing.key -out issuing.csr
openssl x509 -req -in issuing.csr -CA partner-ca.pem -CAkey partner-ca.key -CAcreateserial -days 1000 \
  -extfile ca.ext -out partner-issuing.pem
openssl req $NEW -nodes -subj "/C=SE/O=Example AB/serialNumber=556677-8899/CN=orders" \
  -keyout orders.key -out orders.csr
openssl x509 -req -in orders.csr -CA partner-issuing.pem -CAkey issuing.key -CAcreateserial -days 90 \
  -extfile client.ext -out orders.pem
for name in probe probe-new keys; do
  openssl req $NEW -x509 -nodes -subj "/CN=$name" -days 400 -keyout $name.key -out $name.pem
done
openssl req $NEW -x509 -nodes -subj "/C=SE/O=Example/CN=Mesh CA" -days 3650 -keyout mesh.key -out mesh.pem
openssl req $NEW -nodes -subj / -keyout svid.key -out svid.csr
openssl x509 -req -in svid.csr -CA mesh.pem -CAkey mesh.key -CAcreateserial -days 1 -extfile svid.ext -out svid.pem
openssl ca -config ca.cnf -gencrl -cert partner-ca.pem -keyfile partner-ca.key -out partner-ca.crl
openssl ca -config ca.cnf -gencrl -cert partner-issuing.pem -keyfile issuing.key -out partner-issuing.crl
openssl ca -config ca.cnf -revoke orders.pem -crl_reason keyCompromise -cert partner-issuing.pem -keyfile issuing.key
openssl ca -config ca.cnf -gencrl -cert partner-issuing.pem -keyfile issuing.key -out partner-issuing-new.crl
"""


def make_files(folder: Path) -> None:
    """Make them all."""
    for name, text in {"ca.cnf": _CONFIG, "ca.ext": _CA, "client.ext": _CLIENT, "svid.ext": _SVID}.items():
        folder.joinpath(name).write_text(text)
    folder.joinpath("index.txt").touch()
    folder.joinpath("crlnumber").write_text("01\n")
    done = subprocess.run(
        ["bash", "-e", "-c", _LINES], cwd=folder, capture_output=True, text=True, timeout=SECONDS, check=False
    )
    assert done.returncode == 0, done.stderr
    folder.joinpath("password.txt").write_text("changeit\n")
    folder.joinpath("truststore.p12").write_bytes(_truststore(folder))
    folder.joinpath("bundle.json").write_text(json.dumps(_bundle(folder)))
    folder.joinpath("jwks.json").write_text(json.dumps({"keys": [_jwk(folder / "keys.pem")]}))


def _truststore(folder: Path) -> bytes:
    entries = [
        pkcs12.PKCS12Certificate(x509.load_pem_x509_certificate(folder.joinpath(file).read_bytes()), alias)
        for file, alias in (("partner-ca.pem", b"one"), ("mesh.pem", b"two"))
    ]
    return pkcs12.serialize_java_truststore(entries, BestAvailableEncryption(b"changeit"))


def _bundle(folder: Path) -> dict[str, Any]:
    key = _jwk(folder / "mesh.pem") | {"use": "x509-svid"}
    return {"spiffe_sequence": 1, "spiffe_refresh_hint": 300, "keys": [key]}


def _jwk(certificate: Path) -> dict[str, Any]:
    """Give the public key of a certificate, with the certificate (RFC 7517 section 4.7)."""
    read = x509.load_pem_x509_certificate(certificate.read_bytes())
    key = ECKey.import_key(read.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    return {**key.as_dict(private=False), "x5c": [base64.b64encode(read.public_bytes(Encoding.DER)).decode()]}
