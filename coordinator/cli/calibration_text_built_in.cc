// The built-in calibration text: written for this, so that it may be shipped. Varied rather than long.
#include "coordinator/cli/calibration_text.h"

namespace colonnade::cli {

std::string_view built_in_calibration_text() {
  static constexpr std::string_view kText = R"built(The harbour woke before the town did. Nets hung from the rails like grey curtains, and the gulls, who had slept on the roof of the
customs house, began their quarrel over nothing. Marta counted the crates twice. "Eleven," she said, "and there should be twelve."
Her brother shrugged. He had loaded them by lantern light, with the rain coming sideways, and he had not counted anything at all.
"Perhaps the sea took one," he said. "Perhaps," said Marta, who did not believe in a sea that takes only what is worth the most.

Once upon a time there was a tailor who had three daughters and one needle. The eldest wanted to see the mountains, the second wanted
to marry a miller, and the youngest wanted to know why the moon follows a cart. So the tailor said: "Whoever sews the longest seam
without looking up may have the needle and go." They sewed from morning until night. The eldest looked up at the swallows, the second
looked up at the baker's son, but the youngest looked only at her thread, and when she was done the seam was as long as the road.

How does a lever work? Suppose a plank rests on a stone. Push one end down by a metre, and the other end, if it is ten times nearer to
the stone, rises by a tenth of that; but it rises with ten times the force. Nothing is gained and nothing is lost: force times distance
is the same on both sides. The same law governs pulleys, screws, and the pedals of a bicycle. What we call a machine is a way to choose
between strength and speed.

Water boils at 100 degrees Celsius at sea level, at about 93 degrees on a mountain of 2,000 metres, and at 71 degrees on the summit of
Everest. The reason is pressure: a bubble can only grow when the vapour in it pushes as hard as the air outside. A pressure cooker does
the opposite. At twice the normal pressure water boils at roughly 120 degrees, and potatoes are done in a third of the time.

Dear Mr. Okafor,
thank you for your letter of 3 March. We have looked into the matter of invoice no. 20417 and found that you are right: the second
delivery was charged twice. The sum of 184.50 will be returned to your account within five working days. Please accept our apologies.
With kind regards,
Helen Strand, Accounts

To make a simple bread you need:
- 500 g of flour
- 350 ml of lukewarm water
- 10 g of salt
- 5 g of dry yeast
1. Mix flour, salt and yeast. 2. Add the water and knead for ten minutes. 3. Let the dough rest under a cloth until it has doubled.
4. Fold it, shape a loaf, and wait for another half hour. 5. Bake at 230 °C for 35 to 40 minutes. It is done when it sounds hollow.

Q: What is the capital of Australia?
A: Canberra. Many people think of Sydney or Melbourne first; Canberra was founded in 1913 because the two could not agree.
Q: If a train leaves at 14:20 and arrives at 17:05, how long does the journey take?
A: Two hours and forty-five minutes.
Q: Name three animals that sleep through the winter.
A: Hedgehogs, dormice and most bats.

def mean(values):
    """The arithmetic mean of a list of numbers."""
    if not values:
        raise ValueError("mean of an empty list")
    return sum(values) / len(values)

for (int i = 0; i < n; ++i) {
  if (words[i].size() > longest.size()) longest = words[i];
}
std::printf("%s has %zu letters\n", longest.c_str(), longest.size());

SELECT city, COUNT(*) AS shops, AVG(turnover) FROM branches WHERE opened >= '2015-01-01' GROUP BY city ORDER BY shops DESC LIMIT 10;

{"name": "Ada", "born": 1815, "fields": ["mathematics", "computing"], "alive": false, "address": null}

<p>The library is open from <b>Tuesday</b> to <b>Saturday</b>, 10 a.m. to 6 p.m. <a href="/rules.html">House rules</a></p>

In 1687 Newton published three laws of motion. The first says that a body on which no force acts keeps its velocity. The second says that
force equals mass times acceleration, F = m a. The third says that forces come in pairs: if I push the wall, the wall pushes me. From these,
and from the inverse square law of gravity, he derived the orbits of planets, the tides, and the slow wobble of the Earth's axis.

"You are late," said the clockmaker without turning round. "The bridge was up," said the boy. "The bridge is always up at noon. You could
have left earlier." "Then I would have been early." "That," said the clockmaker, and now he did turn, "is what clocks are for." He put down
his glass and pointed at the wall, where forty pendulums swung, no two of them together, and all of them, somehow, in time.

The parliament voted on Thursday to extend the programme by two years. Supporters pointed to figures that show a fall in unemployment from
8.4 to 6.1 per cent; critics replied that most of the new jobs were part-time. The minister said that a review would be published in autumn.
Shares in the three largest construction firms rose by between two and four per cent.

Der Weg führte am Fluss entlang, und nach einer Stunde sahen wir das Dorf. Le marché ouvre à huit heures et ferme à midi. La niña abrió la
ventana y escuchó el mar. Il treno per Milano parte dal binario quattro. O céu estava limpo depois da chuva.

Mushrooms are neither plants nor animals. What we see is only the fruit; the organism itself is a web of fine threads in the soil or the wood,
sometimes many hectares wide. It feeds on what has died, and some kinds trade with living trees: they bring water and minerals to the roots and
take sugar in return. A forest without them would choke on its own leaves.

She opened the envelope slowly, because as long as it was closed it could still be good news. Inside were a photograph and a key. The photograph
showed a house she had never seen, with a blue door and a pear tree; on the back somebody had written, in pencil: "It was always yours." She
turned the key over. It was old, and it was warm, as if it had been held until a moment ago.

The sum of the first n odd numbers is n squared: 1 = 1, 1 + 3 = 4, 1 + 3 + 5 = 9, 1 + 3 + 5 + 7 = 16. To see why, draw a square of n by n dots and
cut off its last row and column: that is 2n - 1 dots, the n-th odd number, and a smaller square is left. If 3x + 5 = 20, then x = 5. The area of
a circle of radius r is pi times r squared; for r = 2 that is about 12.57.

There was once a fox who had learned to read. He read the signs at the edge of the wood ("No Hunting"), and the names on the gates, and one day he
read a letter that the wind had carried off. It was from a farmer to his sister, and it said that the new dog was afraid of hens. The fox folded
the letter, and put it under a stone, and thought about it all winter.
)built";
  return kText;
}

}  // namespace colonnade::cli
