/** An address that is no view. */
import { View } from "../shell";
import { useQuery } from "../state/query";
import { Empty } from "../ui/states";

export function Missing() {
  const query = useQuery();
  return (
    <View title="No such page">
      <Empty title={`There is nothing at ${query.path}`}>
        <p>
          <a href="/">Go to the overview</a>
        </p>
      </Empty>
    </View>
  );
}
