/** A chart of ECharts as a component: fixed height, follows its width, says what it shows. */
import type { EChartsCoreOption, EChartsType } from "echarts/core";
import { useEffect, useRef, useState } from "preact/hooks";

export interface ChartProps {
  /** For ECharts. */
  option: object;
  /** What a screen reader says of the chart. */
  label: string;
  height: number;
  /** Charts of one group zoom and point together. */
  group?: string;
  /** Called once the chart is there, and with `null` when it is gone. */
  onChart?: (chart: EChartsType | null) => void;
}

export function Chart({ option, label, height, group, onChart }: ChartProps) {
  const box = useRef<HTMLDivElement>(null);
  const [chart, setChart] = useState<EChartsType | null>(null);
  const [failure, setFailure] = useState<unknown>(null);

  useEffect(() => {
    let gone = false;
    let made: EChartsType | null = null;
    let observer: ResizeObserver | null = null;
    import("./echarts").then(({ init, connect }) => {
      const element = box.current;
      if (gone || element === null) return;
      made = init(element);
      if (group !== undefined) {
        made.group = group;
        connect(group);
      }
      observer = new ResizeObserver(() => made?.resize());
      observer.observe(element);
      setChart(made);
    }, setFailure);
    return () => {
      gone = true;
      observer?.disconnect();
      made?.dispose();
    };
  }, [group]);

  useEffect(() => {
    chart?.setOption(option as EChartsCoreOption, { replaceMerge: ["series", "xAxis", "yAxis", "grid"] });
  }, [chart, option]);

  useEffect(() => {
    if (chart === null) return;
    onChart?.(chart);
    return () => onChart?.(null);
  }, [chart, onChart]);

  if (failure !== null) {
    return (
      <p class="problem" role="alert" style={{ minHeight: `${height}px` }}>
        The charts could not be loaded: {String(failure)}. Reload the page; the table view works without them.
      </p>
    );
  }
  return <div ref={box} class="chart" role="img" aria-label={label} style={{ height: `${height}px` }} />;
}
