"""Certificates for the TLS tests, made by the openssl command: a CA, what it signs, and a stranger's CA.

    certs = Certs(folder)
    certs.ca, certs.other_ca            # paths of the CAs' certificates
    key, cert = certs.make("server", "localhost", san="DNS:localhost,IP:127.0.0.1")
    key, cert = certs.make("intruder", "demo", ca="other")
"""

import pathlib

from lib.util import run

EC = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")


class Certs:
    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        for name in ("ca", "other"):
            run("openssl", "req", "-x509", *EC, "-days", 30, "-subj", f"/CN=the {name}",
                "-keyout", self._path(name, "key"), "-out", self._path(name, "crt"))
        self.ca, self.other_ca = self._path("ca", "crt"), self._path("other", "crt")

    def _path(self, name, kind):
        return self.folder / f"{name}.{kind}"

    def make(self, name, common_name, san=None, ca="ca"):
        """A key and a certificate for common_name, signed by the CA; returns their paths."""
        key, cert, request = (self._path(name, kind) for kind in ("key", "crt", "csr"))
        run("openssl", "req", *EC, "-subj", f"/O=Sluice/CN={common_name}", "-keyout", key, "-out", request)
        extensions = self._path(name, "ext")
        extensions.write_text(f"subjectAltName = {san}\n" if san else "")
        run("openssl", "x509", "-req", "-in", request, "-CA", self._path(ca, "crt"), "-CAkey", self._path(ca, "key"),
            "-CAcreateserial", "-days", 30, "-extfile", extensions, "-out", cert)
        key.chmod(0o600)
        return key, cert
