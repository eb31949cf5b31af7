#!/usr/bin/env bash
# A real Apache Kafka on this machine, for tests and for trying out: one JVM that is broker and controller (KRaft), on
# loopback. It needs bash, Java 17 and, the first time, Maven, which fetches the jars from Maven Central.
#
#   broker.sh fetch            get the jars (once; `start` does it too)
#   broker.sh start DIR PORT   start on 127.0.0.1:PORT with the data in DIR, made if it is not there; returns when it is ready
#   broker.sh stop DIR         end it cleanly
#   broker.sh kill DIR         SIGKILL, as a power cut would; `start` recovers
#
# PORT+1 is the controller's. STREAMREEL_KAFKA_PROXY=LISTENED:ADVERTISED adds a listener for clients that come through a proxy:
# the broker listens on the one port and tells them of the other. STREAMREEL_KAFKA_SECURE=PORT adds one with TLS and a login (SASL_SSL; PLAIN,
# SCRAM-SHA-256 and SCRAM-SHA-512) for the user `streamreel` with the password in STREAMREEL_KAFKA_PASSWORD; clients trust DIR/tls/ca.pem.
# STREAMREEL_KAFKA_JARS names another place for the jars, STREAMREEL_KAFKA_HEAP the heap.
set -euo pipefail

readonly KAFKA=4.3.1
# What this Kafka logs with; the binding between the two is not among its own dependencies.
readonly LOG4J=2.25.4
readonly MAVEN_PLUGIN=3.6.1
readonly JARS=${STREAMREEL_KAFKA_JARS:-$HOME/.cache/streamreel/kafka-$KAFKA}
readonly HEAP=${STREAMREEL_KAFKA_HEAP:-256m}
readonly READY='Kafka Server started'
readonly START_S=90
readonly STOP_S=30
readonly USER_NAME=streamreel
# Of the key store, which nobody but this broker reads.
readonly STORE_PASSWORD=changeit

fail() {
  echo "broker.sh: $*" >&2
  exit 1
}

# The jars, complete or not there: made in another folder and then moved. Whoever comes meanwhile waits.
fetch() {
  [[ -d $JARS ]] && return
  mkdir -p "$(dirname "$JARS")"
  exec 8>"$JARS.lock"
  flock 8
  if [[ ! -d $JARS ]]; then
    local work=$JARS.new
    rm -rf "$work"
    mkdir -p "$work"
    echo "broker.sh: fetching Kafka $KAFKA into $JARS" >&2
    cat >"$work/pom.xml" <<XML
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>streamreel</groupId>
  <artifactId>broker</artifactId>
  <version>1</version>
  <packaging>pom</packaging>
  <dependencies>
    <dependency>
      <groupId>org.apache.kafka</groupId>
      <artifactId>kafka_2.13</artifactId>
      <version>$KAFKA</version>
    </dependency>
    <dependency>
      <groupId>org.apache.logging.log4j</groupId>
      <artifactId>log4j-slf4j-impl</artifactId>
      <version>$LOG4J</version>
    </dependency>
  </dependencies>
</project>
XML
    mvn --batch-mode --quiet --file "$work/pom.xml" \
      "org.apache.maven.plugins:maven-dependency-plugin:$MAVEN_PLUGIN:copy-dependencies" \
      -DincludeScope=runtime "-DoutputDirectory=$work" >&2
    mv "$work" "$JARS"
  fi
  exec 8>&-
}

# An authority of its own, and a certificate for 127.0.0.1 and localhost that it has signed.
certify() { # DIR
  [[ -f $1/tls/ca.pem ]] && return
  local work=$1/tls.new
  rm -rf "$work"
  mkdir -m 700 "$work"
  # Each with its own store: a start of this tool is half a second, so as few of them as possible.
  ca() { keytool "$@" -alias ca -storetype PKCS12 -storepass "$STORE_PASSWORD" -keystore "$work/ca.p12" 2>>"$work/log"; }
  broker() {
    keytool "$@" -alias broker -storetype PKCS12 -storepass "$STORE_PASSWORD" -keystore "$work/broker.p12" 2>>"$work/log"
  }
  {
    ca -genkeypair -keyalg EC -groupname secp256r1 -validity 3650 -dname "CN=StreamReel's test authority" -ext bc:c &&
      ca -exportcert -rfc >"$work/ca.pem" &&
      broker -genkeypair -keyalg EC -groupname secp256r1 -validity 3650 -dname CN=localhost &&
      broker -certreq | ca -gencert -rfc -validity 3650 -ext san=ip:127.0.0.1,dns:localhost >"$work/broker.pem" &&
      cat "$work/ca.pem" "$work/broker.pem" | broker -importcert -noprompt
  } || { cat "$work/log" >&2; fail "can't make certificates in $work"; }
  mv "$work" "$1/tls"
}

configure() { # DIR PORT
  local proxied_listener='' proxied_advertised='' proxied_protocol=''
  local secure_listener='' secure_advertised='' secure_protocol='' secure=''
  if [[ -n ${STREAMREEL_KAFKA_PROXY:-} ]]; then
    proxied_listener=PROXIED://127.0.0.1:${STREAMREEL_KAFKA_PROXY%%:*},
    proxied_advertised=PROXIED://127.0.0.1:${STREAMREEL_KAFKA_PROXY##*:},
    proxied_protocol=PROXIED:PLAINTEXT,
  fi
  if [[ -n ${STREAMREEL_KAFKA_SECURE:-} ]]; then
    secure_listener=SECURE://127.0.0.1:$STREAMREEL_KAFKA_SECURE,
    secure_advertised=$secure_listener
    secure_protocol=SECURE:SASL_SSL,
    secure="listener.name.secure.sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256,SCRAM-SHA-512
listener.name.secure.ssl.keystore.type=PKCS12
listener.name.secure.ssl.keystore.location=$1/tls/broker.p12
listener.name.secure.ssl.keystore.password=$STORE_PASSWORD
listener.name.secure.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required user_$USER_NAME=\"$STREAMREEL_KAFKA_PASSWORD\";"
    local mechanism
    for mechanism in 256 512; do
      secure+="
listener.name.secure.scram-sha-$mechanism.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;"
    done
  fi
  cat >"$1/server.properties" <<CONF
process.roles=broker,controller
node.id=1
listeners=${proxied_listener}${secure_listener}CLIENTS://127.0.0.1:$2,CONTROLLER://127.0.0.1:$(($2 + 1))
advertised.listeners=${proxied_advertised}${secure_advertised}CLIENTS://127.0.0.1:$2
listener.security.protocol.map=${proxied_protocol}${secure_protocol}CLIENTS:PLAINTEXT,CONTROLLER:PLAINTEXT
inter.broker.listener.name=CLIENTS
controller.listener.names=CONTROLLER
controller.quorum.voters=1@127.0.0.1:$(($2 + 1))
log.dirs=$1/data
# A topic is made on purpose, or it is a mistake.
auto.create.topics.enable=false
# There is one node: nothing can have a copy. And few partitions of what Kafka keeps for itself: each is a folder that is
# made at first use and looked through after a kill.
offsets.topic.replication.factor=1
offsets.topic.num.partitions=3
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=3
# Groups of tests come and go: their first member need not wait for others, and one that was killed is missed soon.
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=1000
# After a kill the controller takes the node back only when the dead one's session is over.
broker.heartbeat.interval.ms=500
broker.session.timeout.ms=3000
$secure
CONF
  cat >"$1/log4j2.properties" <<'CONF'
appender.out.type=Console
appender.out.name=out
appender.out.layout.type=PatternLayout
appender.out.layout.pattern=%d{ISO8601} %p %c{1}: %m%n
rootLogger.level=info
rootLogger.appenderRef.out.ref=out
CONF
}

# The number of the process that runs on DIR. A pid file can be older than the machine's last start, so the command line
# is looked at, too.
process() { # DIR
  local pid
  pid=$(cat "$1/pid" 2>/dev/null) || return 1
  grep -qzxF -- "$1/server.properties" "/proc/$pid/cmdline" 2>/dev/null || return 1
  echo "$pid"
}

listens() { # PORT
  (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null
}

start() { # DIR PORT
  local dir port=$2 pid begun=$SECONDS
  fetch
  mkdir -p "$1"
  dir=$(cd "$1" && pwd)
  if process "$dir" >/dev/null; then return; fi
  # Somebody else's server would look like ours.
  if listens "$port" || listens $((port + 1)); then fail "port $port or $((port + 1)) is in use"; fi
  local users=()
  if [[ -n ${STREAMREEL_KAFKA_SECURE:-} ]]; then
    # It is written into files that have rules of their own for other characters.
    [[ ${STREAMREEL_KAFKA_PASSWORD:-} =~ ^[A-Za-z0-9_.-]+$ ]] ||
      fail "STREAMREEL_KAFKA_SECURE wants a password of letters, digits, '_', '.' and '-' in STREAMREEL_KAFKA_PASSWORD"
    certify "$dir"
    local mechanism
    for mechanism in SCRAM-SHA-256 SCRAM-SHA-512; do
      users+=(--add-scram "$mechanism=[name=$USER_NAME,password=$STREAMREEL_KAFKA_PASSWORD]")
    done
  fi
  configure "$dir" "$port"
  local java=(java -cp "$JARS/*" "-Dlog4j2.configurationFile=$dir/log4j2.properties")
  if [[ ! -f $dir/data/meta.properties ]]; then
    # A cluster's id is 16 bytes in base64; a leading dash would be taken for an option.
    local id
    id=A$(head -c 16 /dev/urandom | base64 | tr '+/' '-_' | cut -c 2-22)
    "${java[@]}" -XX:TieredStopAtLevel=1 kafka.tools.StorageTool format \
      --cluster-id "$id" --config "$dir/server.properties" "${users[@]}" >"$dir/format.log" 2>&1 ||
      { cat "$dir/format.log" >&2; fail "can't format $dir"; }
  fi
  : >"$dir/log"
  # It lives for minutes, in which the optimizing compiler would take more than it gives back. A session of its own: Ctrl-C in the terminal
  # that started it is not meant for it.
  setsid "${java[@]}" "-Xmx$HEAP" -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -XX:+ExitOnOutOfMemoryError \
    kafka.Kafka "$dir/server.properties" >>"$dir/log" 2>&1 </dev/null &
  pid=$!
  echo "$pid" >"$dir/pid"
  until grep -q "$READY" "$dir/log"; do
    if ! kill -0 "$pid" 2>/dev/null; then
      tail -n 20 "$dir/log" >&2
      fail "the broker ended"
    fi
    if ((SECONDS - begun > START_S)); then
      end "$dir" KILL
      fail "not ready after $START_S s; see $dir/log"
    fi
    sleep 0.1
  done
}

# Waits until its ports are free: while the threads of a killed process end, they are not.
end() { # DIR SIGNAL
  local dir pid begun=$SECONDS
  dir=$(cd "$1" 2>/dev/null && pwd) || return 0
  if pid=$(process "$dir"); then
    local port
    port=$(sed -n 's/^advertised.listeners=.*://p' "$dir/server.properties")
    kill "-$2" "$pid"
    while kill -0 "$pid" 2>/dev/null && ! grep -q '^State:.*Z' "/proc/$pid/status" 2>/dev/null || listens "$port"; do
      if ((SECONDS - begun > STOP_S)); then
        kill -KILL "$pid" 2>/dev/null || true
        begun=$SECONDS
      fi
      sleep 0.1
    done
  fi
  rm -f "$dir/pid"
}

case "${1:-} $#" in
  "fetch 1") fetch ;;
  "start 3") start "$2" "$3" ;;
  "stop 2") end "$2" TERM ;;
  "kill 2") end "$2" KILL ;;
  *)
    sed -n '5,8s/^# *//p' "$0" >&2
    exit 2
    ;;
esac
