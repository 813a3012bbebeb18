# Requests and answers of one byte over TCP, one at a time on each connection.
#
# transactions.py serve ADDRESS PORT          answers until it is ended
# transactions.py ask ADDRESS PORT CONNECTIONS SECONDS
#   prints as JSON the answers per second, and percentiles of their time in microseconds
#
# Python, because a blocking call there costs a few microseconds: a program of Node would take
# longer to wake than the tunnels that are compared.
import json
import select
import socket
import struct
import sys
import time


def connected(connection):
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def serve(address, port):
    listener = socket.create_server((address, port), backlog=256)
    print("ready", flush=True)
    poller = select.epoll()
    poller.register(listener, select.EPOLLIN)
    connections = {}
    while True:
        for fd, _ in poller.poll():
            if fd == listener.fileno():
                connection = connected(listener.accept()[0])
                connections[connection.fileno()] = connection
                poller.register(connection, select.EPOLLIN)
                continue
            try:
                asked = connections[fd].recv(1)
                if asked:
                    connections[fd].send(asked)
                    continue
            except OSError:
                pass
            poller.unregister(fd)
            connections.pop(fd).close()


def ask_one(connection, end, times):
    now = time.perf_counter
    begun = now()
    while begun < end:
        connection.send(b"x")
        connection.recv(1)
        answered = now()
        times.append(answered - begun)
        begun = answered


def ask_many(connections, end, times):
    now = time.perf_counter
    poller = select.epoll()
    begun = {}
    by_fd = {connection.fileno(): connection for connection in connections}
    for fd, connection in by_fd.items():
        poller.register(fd, select.EPOLLIN)
        begun[fd] = now()
        connection.send(b"x")
    while now() < end:
        for fd, _ in poller.poll(1):
            connection = by_fd[fd]
            connection.recv(1)
            answered = now()
            times.append(answered - begun[fd])
            begun[fd] = answered
            connection.send(b"x")


def ask(address, port, count, seconds):
    connections = [connected(socket.create_connection((address, port), timeout=10)) for _ in range(count)]
    for connection in connections:
        # A time limit of Python's own would cost a poll for each answer.
        connection.settimeout(None)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("ll", 10, 0))
    work = ask_one if count == 1 else ask_many
    target = connections[0] if count == 1 else connections
    work(target, time.perf_counter() + min(0.3, seconds), [])
    if count > 1:
        # Answers of the warm-up may still be on their way.
        for connection in connections:
            connection.recv(1)
    times = []
    begun = time.perf_counter()
    work(target, begun + seconds, times)
    taken = time.perf_counter() - begun
    times.sort()
    percentile = lambda part: times[min(len(times) - 1, int(len(times) * part))] * 1e6
    print(json.dumps({"perSecond": len(times) / taken, "p50": percentile(0.5), "p99": percentile(0.99)}))


if sys.argv[1] == "serve":
    serve(sys.argv[2], int(sys.argv[3]))
else:
    ask(sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), float(sys.argv[5]))
