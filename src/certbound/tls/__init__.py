"""The door: who is at the other end of a connection, and nothing about what they may do.

Owns listeners, TLS (pyOpenSSL) and HTTP/1.1 on the wire (uvicorn, httptools): possession of a private key is proved
here, deadlines and caps on what strangers send are kept here. Whether a certificate is valid, trusted or known is
decided per client by `oauth` and `chain`, later and in one place; what an application answers is `web`'s.

    listener.Listener           one address: certificate, mode, limits and the ASGI application behind it
    listener.ClientCertificate  none | want | require | forwarded
    listener.Limits             deadlines in seconds and caps in bytes
    address.bind                a bind text as sockets, for the process that starts workers
    door.Door                   the listeners of one process and what lives as long as they are open
    serving.serve               run a door until SIGTERM, in this process or in several workers
    serving.running             run a door inside a running event loop, for a demo or a test
    context.DoorError           a door cannot open; one line that says what to do

A request's `scope["extensions"]["certbound"]` is `{"version": 1, "presented": PresentedChain | None, "listener": name,
"source": "tls"}` (`"none"` where the listener speaks plain HTTP); beside it stands the ASGI `tls` extension for other
libraries, whose `client_cert_error` is always set when there is a certificate, because nobody has validated it yet.
"""
