//! What a run of a program costs: wall time, CPU time, memory. Linux only: it reads `/proc`.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::tools::{command, program};

const POLL: Duration = Duration::from_millis(10);
/// Units of CPU time in `/proc/PID/stat`; Linux has the same on every machine.
const TICKS_PER_S: f64 = 100.0;
const BYTES_PER_KB: f64 = 1024.0;
/// Of random reads: more than a core's own caches hold.
const READ_BYTES: usize = 16 << 20;
const READS: u32 = 5_000_000;

/// What a run cost.
#[derive(Debug, Clone, Default)]
pub struct Cost {
    /// Wall seconds.
    pub wall_s: f64,
    /// User and system seconds of all its threads.
    pub cpu_s: f64,
    /// The largest resident memory, in GB (1e9 bytes).
    pub peak_gb: f64,
    /// What it printed to stdout.
    pub stdout: String,
}

/// A program that is running, measured.
pub struct Running {
    child: Child,
    began: Instant,
    stdout: Option<thread::JoinHandle<std::io::Result<String>>>,
    cost: Cost,
}

impl Running {
    /// Starts it. What it prints to stdout is kept, stderr goes through.
    pub fn start(command: &mut Command) -> Result<Self> {
        command.stdout(Stdio::piped());
        let began = Instant::now();
        let mut child = command.spawn().with_context(|| format!("can't start {command:?}"))?;
        let stdout = child.stdout.take().map(|mut stdout| {
            thread::spawn(move || {
                let mut text = String::new();
                stdout.read_to_string(&mut text).map(|_| text)
            })
        });
        Ok(Self { child, began, stdout, cost: Cost::default() })
    }

    /// Its process.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Looks at it; false once it has ended.
    pub fn look(&mut self) -> bool {
        let folder = PathBuf::from(format!("/proc/{}", self.id()));
        let Some((state, cpu_s)) = state(&folder) else { return false };
        self.cost.cpu_s = cpu_s;
        if let Some(peak) = memory_gb(&folder, "VmHWM:") {
            self.cost.peak_gb = self.cost.peak_gb.max(peak);
        }
        // Ended and not waited for: the kernel still has its times.
        state != 'Z' && state != 'X'
    }

    /// Its resident memory now, in GB.
    pub fn resident_gb(&self) -> Option<f64> {
        memory_gb(Path::new(&format!("/proc/{}", self.id())), "VmRSS:")
    }

    /// Waits for its end.
    pub fn finish(mut self) -> Result<(ExitStatus, Cost)> {
        while self.look() {
            thread::sleep(POLL);
        }
        self.cost.wall_s = self.began.elapsed().as_secs_f64();
        let status = self.child.wait().context("can't wait for a program")?;
        if let Some(stdout) = self.stdout.take() {
            self.cost.stdout = stdout.join().ok().context("reading a program's output failed")??;
        }
        Ok((status, self.cost))
    }
}

/// State and CPU seconds of a process.
fn state(folder: &Path) -> Option<(char, f64)> {
    let stat = fs::read_to_string(folder.join("stat")).ok()?;
    // The second field, the name, is in brackets and may hold anything.
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let ticks = |index: usize| fields.get(index)?.parse::<f64>().ok();
    Some((fields.first()?.chars().next()?, (ticks(11)? + ticks(12)?) / TICKS_PER_S))
}

fn memory_gb(folder: &Path, name: &str) -> Option<f64> {
    let status = fs::read_to_string(folder.join("status")).ok()?;
    let value = status.lines().find_map(|line| line.strip_prefix(name))?;
    Some(value.trim().trim_end_matches(" kB").parse::<f64>().ok()? * BYTES_PER_KB / 1e9)
}

/// Runs a program to its end; it must succeed.
pub fn run(command: &mut Command) -> Result<Cost> {
    let (status, cost) = Running::start(command)?.finish()?;
    if !status.success() {
        bail!("{command:?} ended with {status}\n{}", cost.stdout);
    }
    Ok(cost)
}

/// A folder that goes away with the value.
pub struct Scratch(PathBuf);

impl Scratch {
    /// An empty one in the system's temporary folder.
    pub fn new(name: &str) -> Result<Self> {
        let folder = std::env::temp_dir().join(format!("streamreel-{name}-{}", std::process::id()));
        fs::create_dir_all(&folder).with_context(|| format!("can't make {}", folder.display()))?;
        Ok(Self(folder))
    }

    /// A path in it.
    pub fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// A home in it.
    pub fn home(&self, name: &str) -> Home {
        Home(self.path(name))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.0) {
            eprintln!("can't remove {}: {error}", self.0.display());
        }
    }
}

/// A home of the program.
pub struct Home(PathBuf);

impl Home {
    /// Makes its folder.
    pub fn create(&self) -> Result<()> {
        std::fs::create_dir_all(&self.0).with_context(|| format!("can't make {}", self.0.display()))
    }

    /// The program in it, without progress, free of the caller's settings.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = command(program(), &["--quiet", "--json", "--home"]);
        command.arg(&self.0).args(args).stdin(Stdio::null());
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("STREAMREEL_") {
                command.env_remove(name);
            }
        }
        command
    }

    /// Runs a command to its end; it must succeed.
    pub fn run(&self, args: &[&str]) -> Result<Cost> {
        run(&mut self.command(args))
    }

    /// Runs a command that prints JSON; it must succeed.
    pub fn json(&self, args: &[&str]) -> Result<(Cost, Value)> {
        let cost = self.run(args)?;
        let value = serde_json::from_str(&cost.stdout).with_context(|| format!("{args:?} printed no JSON"))?;
        Ok((cost, value))
    }

    /// Rows of a query.
    pub fn query(&self, sql: &str) -> Result<Vec<Value>> {
        match self.json(&["query", sql])?.1 {
            Value::Array(rows) => Ok(rows),
            other => bail!("{sql} gave {other}"),
        }
    }

    /// Copies these parts of it into another home. What the other home has there goes.
    pub fn copy(&self, parts: &[&str], other: &Home) -> Result<()> {
        for part in parts {
            let (from, to) = (self.0.join(part), other.0.join(part));
            other.remove(part)?;
            if let Some(parent) = to.parent() {
                fs::create_dir_all(parent).with_context(|| format!("can't make {}", parent.display()))?;
            }
            run(command("cp", &["-a"]).arg(&from).arg(&to))?;
        }
        Ok(())
    }

    /// Removes a part of it.
    pub fn remove(&self, part: &str) -> Result<()> {
        let folder = self.0.join(part);
        match fs::remove_dir_all(&folder) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(error).with_context(|| format!("can't remove {}", folder.display()))
            }
            _ => Ok(()),
        }
    }
}

/// The middle one.
pub fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    match values.len() {
        0 => f64::NAN,
        n if n % 2 == 1 => values[n / 2],
        n => f64::midpoint(values[n / 2 - 1], values[n / 2]),
    }
}

/// How much y grows with x, by least squares.
pub fn slope(points: &[(f64, f64)]) -> f64 {
    let n = points.len() as f64;
    let mean = |of: fn(&(f64, f64)) -> f64| points.iter().map(of).sum::<f64>() / n;
    let (x, y) = (mean(|point| point.0), mean(|point| point.1));
    let products: f64 = points.iter().map(|point| (point.0 - x) * (point.1 - y)).sum();
    products / points.iter().map(|point| (point.0 - x).powi(2)).sum::<f64>()
}

/// The largest.
pub fn largest(values: impl IntoIterator<Item = f64>) -> f64 {
    values.into_iter().fold(f64::NAN, f64::max)
}

/// One line that says on what and when something was measured.
pub fn machine() -> Result<String> {
    let cpu = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpu.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or_default();
    let model = model.trim_start_matches([' ', '\t', ':']);
    let memory = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let memory = memory.lines().find_map(|line| line.strip_prefix("MemTotal:")).unwrap_or_default();
    let kb: f64 = memory.trim().trim_end_matches(" kB").parse().unwrap_or(f64::NAN);
    let cores = thread::available_parallelism()?;
    let date = run(&mut command("date", &["-u", "+%F"]))?.stdout;
    let (gib, read_ns) = (kb / BYTES_PER_KB.powi(2), random_read_ns());
    Ok(format!("{cores} cores ({model}), {gib:.0} GiB of memory, {read_ns:.0} ns a random read, {}", date.trim()))
}

/// How long one read takes of many that depend on each other, all over a buffer that a core's own caches do not hold. What it says of a
/// virtual machine is how much its neighbours take of the memory and of the cache that all of them share.
fn random_read_ns() -> f64 {
    let buffer: Vec<u8> = (0..READ_BYTES).map(|i| i as u8).collect();
    let (mut state, mut sum) = (0x2545_f491_4f6c_dd1d_u64, 0_u64);
    let begun = Instant::now();
    for _ in 0..READS {
        // xorshift64
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        sum += u64::from(buffer[(state.wrapping_add(sum) as usize) % READ_BYTES]);
    }
    let took = begun.elapsed();
    std::hint::black_box(sum);
    took.as_secs_f64() * 1e9 / f64::from(READS)
}

/// Programs that wanted a core, on average over the last minute.
pub fn load() -> f64 {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').next().and_then(|first| first.parse().ok()).unwrap_or(f64::NAN)
}

/// CPU time of the whole machine since it was started, in ticks.
#[derive(Clone, Copy)]
pub struct CpuTime {
    /// What was run.
    ran: u64,
    /// What was ready to run while a virtual machine's neighbours had the core.
    stolen: u64,
}

impl CpuTime {
    /// So far.
    pub fn now() -> Self {
        let text = fs::read_to_string("/proc/stat").unwrap_or_default();
        Self::of(&text)
    }

    /// By the first line of `/proc/stat`: user, nice, system, idle, iowait, irq, softirq, steal.
    fn of(stat: &str) -> Self {
        let all = stat.lines().next().unwrap_or_default().split_whitespace().skip(1);
        let ticks: Vec<u64> = all.map(|ticks| ticks.parse().unwrap_or_default()).collect();
        let sum = |fields: &[usize]| fields.iter().filter_map(|field| ticks.get(*field)).sum();
        Self { ran: sum(&[0, 1, 2, 5, 6]), stolen: sum(&[7]) }
    }

    /// Which share of what could have run since was stolen.
    pub fn stolen_since(self, earlier: Self) -> f64 {
        let (ran, stolen) = (self.ran.saturating_sub(earlier.ran), self.stolen.saturating_sub(earlier.stolen));
        stolen as f64 / (ran + stolen).max(1) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stolen_time_is_a_share_of_what_could_have_run() {
        let (before, after) = ("cpu  10 0 10 500 9 0 0 5 0 0\ncpu0 1", "cpu  50 10 30 900 99 5 5 25 0 0");
        let (before, after) = (CpuTime::of(before), CpuTime::of(after));
        assert!((after.stolen_since(before) - 0.2).abs() < 1e-12);
        assert_eq!(before.stolen_since(before), 0.0);
        assert!(CpuTime::now().ran > 0);
    }

    #[test]
    fn medians() {
        for (values, expected) in [(vec![3.0], 3.0), (vec![3.0, 1.0, 2.0], 2.0), (vec![4.0, 1.0], 2.5)] {
            assert_eq!(median(values.clone()), expected, "{values:?}");
        }
        assert!(median([]).is_nan());
    }

    #[test]
    fn slopes() {
        let line: Vec<(f64, f64)> = (0..10).map(|x| (f64::from(x), 3.0 - 0.5 * f64::from(x))).collect();
        assert!((slope(&line) + 0.5).abs() < 1e-12);
        assert!((slope(&[(0.0, 1.0), (1.0, 2.0), (2.0, 1.0)])).abs() < 1e-12);
        assert!(slope(&[(1.0, 1.0)]).is_nan());
    }

    #[test]
    fn a_program_that_works_costs_cpu_time() {
        let cost =
            run(&mut command("sh", &["-c", "i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done; echo done"])).unwrap();
        assert_eq!(cost.stdout, "done\n");
        assert!(cost.cpu_s > 0.0 && cost.wall_s > 0.0 && cost.peak_gb > 0.0, "{cost:?}");
        assert!(run(&mut command("sh", &["-c", "exit 3"])).is_err());
    }
}
