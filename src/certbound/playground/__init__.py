"""The story behind `certbound demo`: a server, an API, good certificates and stolen tokens, on real TLS.

Owns what is shown and in which words. Everything in it is done by the rooms below, as an operator and a client would
have it done; nothing here decides, and no answer is made up.

    certificates   who shows what: the CAs, the clients' certificates, by openssl where it is installed
    openssl        the openssl commands that make them
    registrations  the server's installation and what is registered there, with the commands to type
    api            the sample API behind the binding check
    server         what listens where
    request        one request, as a curl line and as it is really sent
    story          the steps as data, and whether an answer is what it should be
    screen         how it is printed
    demo           all of it, told in order
"""
